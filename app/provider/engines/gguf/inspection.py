"""Opens the tokenizer of a model without its weights, to show what becomes of its template."""

from __future__ import annotations

from pathlib import Path

from app.provider.engines.gguf import model
from app.provider.engines.gguf.tokenizer import LlamaTokenizer


def open_vocabulary(path: Path) -> LlamaTokenizer:
    """The tokenizer that the engine would open; raises ModelNotLoadable."""
    return model.open_vocabulary(str(path))
