"""The tokens with which models were trained to fill in the middle of a text."""

# ruff: noqa: RUF001 the bars of DeepSeek's tokens are full-width

from __future__ import annotations

from typing import NamedTuple


class InfillTokens(NamedTuple):
    """What stands before the text, before what follows it, and before what is to be filled in.

    ``suffix_first``: what follows comes first. Where ``middle`` is empty, nothing stands there.
    """

    prefix: str
    suffix: str
    middle: str = ""
    suffix_first: bool = False


INFILL = (
    InfillTokens("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    InfillTokens("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    InfillTokens("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    InfillTokens("▁<PRE>", "▁<SUF>", "▁<MID>"),
    InfillTokens("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    InfillTokens("[PREFIX]", "[SUFFIX]", suffix_first=True),
    InfillTokens("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    InfillTokens("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", suffix_first=True),
)
"""Qwen, CodeGemma; StarCoder, Granite; SantaCoder; CodeLlama; DeepSeek; Codestral; GLM; Seed."""

INFILL_ENDS = (
    *("<|endoftext|>", "<|file_sep|>", "<|file_separator|>", "<|repo_name|>", "<|fim_pad|>"),
    *("<file_sep>", "<reponame>", "<fim_pad>", "▁<EOT>"),
)
"""Tokens that end what is filled in."""
