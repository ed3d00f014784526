"""Opens the tokenizer of a model without its weights, to show what becomes of its template."""

from __future__ import annotations

from pathlib import Path

from app.provider.generation.tokenizer import HubTokenizer


def open_vocabulary(path: Path) -> HubTokenizer:
    """The tokenizer that the engine would open; raises ModelNotLoadable."""
    return HubTokenizer(path)
