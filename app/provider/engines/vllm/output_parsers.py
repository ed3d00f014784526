"""Which parsers vLLM needs for the tool calls and the thinking of a model, by its chat template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from app.provider.errors import ModelNotLoadable
from app.provider.formats.output_formats import choose_format
from app.provider.generation.folder_templates import chat_templates
from app.provider.headers.files import optional_json

TOOL_PARSERS = {
    "deepseek_v3": "deepseek_v3",
    "deepseek_v31": "deepseek_v31",
    "function_gemma": "functiongemma",
    "gemma4": "gemma4",
    "glm": "glm45",
    "granite": "granite",
    "harmony": "openai",
    "hermes": "hermes",
    "lfm2": "lfm2",
    "llama3_json": "llama3_json",
    "mistral_args": "mistral",
    "mistral_json": "mistral",
    "olmo3": "olmo3",
    "phi4_mini": "phi4_mini_json",
    "pythonic": "pythonic",
    "qwen3_coder": "qwen3_coder",
}
"""Formats of ``provider.formats`` → vLLM's parsers of tool calls."""

REASONING_PARSERS = {
    "glm": ("<think>", "glm45"),
    "harmony": ("", "openai_gptoss"),
    "hermes": ("enable_thinking", "qwen3"),
    "mistral_args": ("[THINK]", "mistral"),
    "mistral_json": ("[THINK]", "mistral"),
    "qwen3_coder": ("enable_thinking", "qwen3"),
}
"""Formats → what the template of a model that thinks has, and vLLM's parser of the thinking."""

_TOOLS, _REASONING = "--tool-call-parser", "--reasoning-parser"


def parser_options(folder: Path, given: Sequence[str]) -> Iterator[str]:
    """Options of ``vllm serve`` that name the parsers, unless ``given`` options do."""
    named = {word.partition("=")[0] for word in given}
    template = _template(folder)
    found = choose_format(template, (), ()).name
    if _TOOLS not in named and found in TOOL_PARSERS:
        yield "--enable-auto-tool-choice"
        yield f"{_TOOLS}={TOOL_PARSERS[found]}"
    mark, parser = REASONING_PARSERS.get(found, ("", ""))
    if _REASONING not in named and parser and mark in template:
        yield f"{_REASONING}={parser}"


def _template(folder: Path) -> str:
    """All chat templates of a folder; empty where they cannot be read, of which vLLM will tell."""
    with suppress(ModelNotLoadable, OSError, ValueError):
        settings = optional_json(folder / "tokenizer_config.json")
        return "\n".join(chat_templates(folder, settings).values())
    return ""
