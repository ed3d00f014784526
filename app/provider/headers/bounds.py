"""Checks numbers in a model's files before memory is allocated for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.provider.errors import ModelNotLoadable
from app.provider.headers.files import optional_json

MOST_TOKENS = 2**31 - 1
"""Longer contexts, and larger token ids, fit no library."""

_CAUSE = "the files are damaged or were converted wrongly"

_MOST_PARTS = 4096
"""Layers or experts; libraries create each of them before they read the weights."""

_PARTS = (
    "num_hidden_layers",
    "num_layers",
    "n_layer",
    "n_layers",
    "depth",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
)
_ENDS = ("bos_token_id", "eos_token_id")


def check_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Check ``config.json`` and ``generation_config.json``; raises ModelNotLoadable.

    An end token outside the vocabulary is accepted: transformers writes its default into the files
    of small models, and no token ever equals it.
    """
    sections = list(_sections(config))
    for section in sections:
        check_context("max_position_embeddings", section.get("max_position_embeddings"))
        for name in _PARTS:
            check_number(name, section.get(name), _MOST_PARTS)
    for section in [*sections, optional_json(folder / "generation_config.json")]:
        for name in _ENDS:
            check_tokens(name, section.get(name))


def check_context(name: str, length: object) -> None:
    """Raise ModelNotLoadable for an impossible context length; 0 or None means not stated."""
    check_number(name, length, MOST_TOKENS)


def check_number(name: str, value: object, most: int, least: int = 0) -> None:
    """Raise ModelNotLoadable for an integer out of bounds; the library checks other values."""
    if isinstance(value, bool) or (isinstance(value, int) and not least <= value <= most):
        raise ModelNotLoadable(f"{name} is {_shown(value)}, which cannot be: {_CAUSE}.")


def check_tokens(name: str, ids: object, words: int = 0) -> None:
    """Raise ModelNotLoadable for ids outside a vocabulary of ``words`` tokens (0: unknown)."""
    for token in ids if isinstance(ids, list) else [ids]:
        if type(token) is int and not 0 <= token <= MOST_TOKENS:
            raise ModelNotLoadable(f"{name} is {_shown(token)}, which is no token: {_CAUSE}.")
        if type(token) is int and words and token >= words:
            many = f"but the model has only {words} tokens"
            raise ModelNotLoadable(f"{name} is {token}, {many}: {_CAUSE}.")


def _sections(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The configuration and its nested ones."""
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from _sections(value)


def _shown(value: int) -> str:
    return str(value) if abs(value) < 2**64 else "a number of many digits"
