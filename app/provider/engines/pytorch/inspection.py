"""Opens the tokenizer of a model without its weights, to show what becomes of its template."""

from __future__ import annotations

from pathlib import Path

from app.provider.architectures.hyperclovax.config import MODEL_TYPE
from app.provider.architectures.hyperclovax.conversation import TEMPLATE
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.headers.files import optional_json


def open_vocabulary(path: Path) -> HubTokenizer:
    """The tokenizer that the engine would open; raises ModelNotLoadable."""
    vocabulary = HubTokenizer(path)
    kind = optional_json(path / "config.json").get("model_type")
    if kind == MODEL_TYPE and not vocabulary.chat_templates:
        vocabulary.chat_templates = {"default": TEMPLATE}
    return vocabulary
