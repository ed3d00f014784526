"""Chat templates with the behaviour of real families, written anew from what they publish.

Each has what its family is known for: it is named, so that a test can ask for all templates that,
say, refuse a system turn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Peculiarity = Literal[
    "generation block",
    "refuses system",
    "merges system",
    "drops system",
    "default system",
    "walks over parts",
    "needs parts",
    "alternation",
    "date",
    "tools branch",
    "documents branch",
    "thinking prefix",
    "strips old thinking",
    "thinking switch",
    "macros",
    "loop controls",
    "writes bos",
    "writes eos",
    "ignores the generation prompt",
]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Family:
    """One family's template, the special tokens that it is given, and what is peculiar to it."""

    name: str
    peculiarities: frozenset[Peculiarity]
    bos: str = ""
    eos: str = ""
    unk: str = ""
    pad: str = ""
    source: str = field(default="", repr=False)


def _family(
    name: str,
    *peculiarities: Peculiarity,
    bos: str = "",
    eos: str = "",
    unk: str = "",
    pad: str = "",
) -> Family:
    source = (_FOLDER / f"{name}.jinja").read_text(encoding="utf-8")
    return Family(name, frozenset(peculiarities), bos, eos, unk, pad, source)


_GEMMA = {"bos": "<bos>", "eos": "<eos>", "unk": "<unk>", "pad": "<pad>"}
_LLAMA2 = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<unk>"}
_LLAMA3 = {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>"}
_MISTRAL = {"bos": "<s>", "eos": "</s>", "unk": "<unk>"}
_CHATML = {"eos": "<|im_end|>", "pad": "<|endoftext|>"}
_BAR, _LOW = "\uff5c", "\u2581"
_DEEPSEEK = {
    "bos": f"<{_BAR}begin{_LOW}of{_LOW}sentence{_BAR}>",
    "eos": f"<{_BAR}end{_LOW}of{_LOW}sentence{_BAR}>",
    "pad": f"<{_BAR}{_LOW}pad{_LOW}{_BAR}>",
}
_COHERE = {
    "bos": "<BOS_TOKEN>",
    "eos": "<|END_OF_TURN_TOKEN|>",
    "unk": "<UNK>",
    "pad": "<PAD>",
}

FAMILIES = (
    _family("gemma", "refuses system", "alternation", "writes bos", **_GEMMA),
    _family("gemma3", "merges system", "alternation", "walks over parts", "writes bos", **_GEMMA),
    _family(
        "llama2",
        *("merges system", "alternation", "writes bos", "writes eos"),
        "ignores the generation prompt",
        **_LLAMA2,
    ),
    _family("llama3", "date", "tools branch", "macros", "writes bos", **_LLAMA3),
    _family(
        "mistral_v3",
        *("merges system", "alternation", "tools branch", "writes bos", "writes eos"),
        "ignores the generation prompt",
        **_MISTRAL,
    ),
    _family(
        "mistral_v7",
        *("default system", "date", "walks over parts", "macros", "writes bos", "writes eos"),
        "ignores the generation prompt",
        **_MISTRAL,
    ),
    _family("phi3", bos="<s>", eos="<|endoftext|>", unk="<unk>", pad="<|endoftext|>"),
    _family(
        "phi3_first",
        *("drops system", "writes bos", "ignores the generation prompt"),
        bos="<s>",
        eos="<|endoftext|>",
    ),
    _family("phi4", bos="<|endoftext|>", eos="<|im_end|>", unk="�", pad="<|dummy_85|>"),
    _family("phi4_mini", bos="<|endoftext|>", eos="<|endoftext|>", pad="<|endoftext|>"),
    _family("qwen2_5", "default system", "tools branch", **_CHATML),
    _family("qwen3", "tools branch", "strips old thinking", "thinking switch", **_CHATML),
    _family("smollm2", "default system", bos="<|im_start|>", **_CHATML),
    _family(
        "smollm3",
        *("default system", "generation block", "date", "tools branch", "thinking switch"),
        **_CHATML,
    ),
    _family(
        "deepseek_r1",
        *("thinking prefix", "strips old thinking", "writes bos", "writes eos"),
        **_DEEPSEEK,
    ),
    _family(
        "deepseek_v3_1",
        *("strips old thinking", "thinking switch", "writes bos", "writes eos"),
        **_DEEPSEEK,
    ),
    _family("deepseek_v2", "writes bos", "writes eos", **_DEEPSEEK),
    _family(
        "glm4",
        *("walks over parts", "tools branch", "strips old thinking", "thinking switch", "macros"),
        eos="<|endoftext|>",
        pad="<|endoftext|>",
    ),
    _family(
        "lfm2",
        *("generation block", "tools branch", "strips old thinking", "writes bos"),
        bos="<|startoftext|>",
        eos="<|im_end|>",
        pad="<|pad|>",
    ),
    _family("exaone3_5", bos="[BOS]", eos="[|endofturn|]", unk="[UNK]", pad="[PAD]"),
    _family(
        "exaone4",
        *("tools branch", "strips old thinking", "thinking switch", "loop controls", "macros"),
        bos="[BOS]",
        eos="[|endofturn|]",
        unk="[UNK]",
        pad="[PAD]",
    ),
    _family("hyperclovax", bos="<|endoftext|>", eos="<|endofturn|>", pad="<|endoftext|>"),
    _family(
        "gpt_oss",
        *("date", "tools branch", "default system", "macros"),
        bos="<|startoftext|>",
        eos="<|return|>",
        pad="<|endoftext|>",
    ),
    _family(
        "granite3",
        *("default system", "date", "tools branch", "documents branch", "thinking switch"),
        bos="<|end_of_text|>",
        eos="<|end_of_text|>",
        unk="<|end_of_text|>",
        pad="<|end_of_text|>",
    ),
    _family(
        "command_r",
        "alternation",
        "tools branch",
        "documents branch",
        "macros",
        "writes bos",
        **_COHERE,
    ),
    _family("minicpm4", bos="<s>", eos="</s>", unk="<unk>"),
    _family("minicpm2", "ignores the generation prompt", bos="<s>", eos="</s>", unk="<unk>"),
    _family(
        "olmo2",
        *("writes bos", "writes eos"),
        bos="<|endoftext|>",
        eos="<|endoftext|>",
        unk="<|endoftext|>",
        pad="<|pad|>",
    ),
    _family("falcon3", "tools branch", "writes eos", eos="<|endoftext|>", pad="<|pad|>"),
    _family(
        "apertus",
        *("default system", "date", "tools branch", "thinking switch", "macros", "writes bos"),
        bos="<s>",
        eos="<|assistant_end|>",
        unk="<unk>",
        pad="<pad>",
    ),
    _family("zephyr", "writes eos", **_LLAMA2),
    _family("internlm2", "writes bos", **_LLAMA2),
    _family(
        "idefics3", "needs parts", bos="<|im_start|>", eos="<end_of_utterance>", pad="<|im_end|>"
    ),
    _family(
        "kimi_k2",
        *("default system", "walks over parts", "tools branch"),
        bos="[BOS]",
        eos="<|im_end|>",
        unk="[UNK]",
        pad="[PAD]",
    ),
)


def with_peculiarity(peculiarity: Peculiarity) -> tuple[Family, ...]:
    """The families that have it."""
    return tuple(family for family in FAMILIES if peculiarity in family.peculiarities)
