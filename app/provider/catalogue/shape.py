"""Reads the dimensions of a transformer from config.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.provider.card import Shape
from app.provider.headers.fields import number, section, texts

TEXT_PARTS = ("text_config", "llm_config", "language_config")
_ATTENTION_FREE = {"linear_attention", "mamba", "conv", "recurrent"}


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The dimensions of a model, or of its part for texts."""
    return _shape(section(config, *TEXT_PARTS) or config)


def _shape(config: Mapping[str, Any]) -> Shape:
    layers = number(config, "num_hidden_layers", "n_layer", "num_layers")
    heads = number(config, "num_attention_heads", "n_head")
    hidden = number(config, "hidden_size", "n_embd")
    kv_heads = number(config, "num_key_value_heads") or heads
    width = number(config, "head_dim") or (hidden // heads if heads else 0)
    attending = _attending(texts(config, "layer_types")) or layers
    return Shape(
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        key_width=width,
        value_width=width,
        hidden=hidden,
        vocabulary=number(config, "vocab_size"),
        kv_heads_of_all=kv_heads * attending if attending != layers else 0,
    )


def _attending(kinds: Iterable[str]) -> int:
    """Layers that keep keys and values of every token."""
    return sum(kind not in _ATTENTION_FREE for kind in kinds)
