"""Reads genai_config.json: which graph a folder has, and the names of its inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.provider.errors import ModelNotLoadable
from app.provider.headers.bounds import MOST_TOKENS, check_number, check_tokens
from app.provider.headers.files import optional_json

FILE = "genai_config.json"

_MOST_LAYERS, _MOST_HEADS, _WIDEST_HEAD = 4096, 2**16, 2**16


@dataclass(frozen=True, slots=True)
class Settings:
    """``past`` and ``present`` are names with %d for the layer; ``ends`` are tokens.

    ``embedded``: the decoder takes embeddings instead of tokens, as in vision models.
    """

    graph: Path
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    context_length: int
    input_ids: str
    attention_mask: str
    position_ids: str
    past: tuple[str, str]
    present: tuple[str, str]
    logits: str
    ends: frozenset[int]
    paged: bool
    embedded: bool


def read_settings(folder: Path) -> Settings:
    """Read the file of a folder; raises ModelNotLoadable where it names no decoder."""
    model = optional_json(folder / FILE).get("model")
    decoder = model.get("decoder") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(decoder, dict):
        raise ModelNotLoadable(f"{FILE} is missing or describes no decoder.")
    try:
        return _settings(folder, model, decoder)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelNotLoadable(f"{FILE} lacks what this engine needs: {error}.") from error


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelNotLoadable(f"{name} leads out of the model's folder: copy the file into it.")
    return path


def _by_layer(names: dict[str, Any], which: str) -> tuple[str, str]:
    """Names of keys and of values, with %d for the number of the layer."""
    pair = (str(names[f"{which}_key_names"]), str(names[f"{which}_value_names"]))
    if any(name.replace("%d", "", 1).count("%") or "%d" not in name for name in pair):
        raise ValueError(f"%d in the names of {which} keys and values")
    return pair


def _number(facts: dict[str, Any], name: str, least: int, most: int) -> int:
    """An integer within bounds; raises ModelNotLoadable, KeyError, TypeError."""
    value = facts[name]
    if type(value) is not int:
        raise TypeError(f"{name} as a whole number")
    check_number(name, value, most, least)
    return value


def _settings(folder: Path, model: dict[str, Any], decoder: dict[str, Any]) -> Settings:
    inputs, outputs = decoder["inputs"], decoder["outputs"]
    words = _number(model, "vocab_size", 0, MOST_TOKENS) if "vocab_size" in model else 0
    for name in ("bos_token_id", "eos_token_id"):
        check_tokens(name, model.get(name), words)
    ends = model.get("eos_token_id", [])
    embedded = "inputs_embeds" in inputs
    return Settings(
        graph=_inside(folder, str(decoder["filename"])),
        layers=_number(decoder, "num_hidden_layers", 1, _MOST_LAYERS),
        heads=_number(decoder, "num_attention_heads", 1, _MOST_HEADS),
        kv_heads=_number(decoder, "num_key_value_heads", 1, _MOST_HEADS),
        head_width=_number(decoder, "head_size", 1, _WIDEST_HEAD),
        context_length=_number(model, "context_length", 1, MOST_TOKENS),
        input_ids=inputs.get("input_ids", "") if embedded else inputs["input_ids"],
        attention_mask=inputs.get("attention_mask", ""),
        position_ids=inputs.get("position_ids", ""),
        past=_by_layer(inputs, "past"),
        present=_by_layer(outputs, "present"),
        logits=outputs["logits"],
        ends=frozenset(ends if isinstance(ends, list) else [ends]),
        paged="block_table" in inputs,
        embedded=embedded,
    )
