"""What memory an encoder takes on onnxruntime. Light: no onnxruntime."""

from __future__ import annotations

from app.provider.card import ModelCard
from app.provider.encoding.batch import CPU_LIMITS
from app.provider.memory import Need

_RUNTIME = 80 * 2**20
"""Python, numpy, Pillow, tokenizers and onnxruntime without a model."""

_TOKENIZER = 14
"""Bytes in RAM for each byte of tokenizer.json."""

_NUMBER = 4
"""Bytes of a float32."""

_WIDTHS = 28
"""Numbers that a token needs at once, in widths of the model; the allocator rounds up."""

_LONGEST = 2048
"""Tokens of a text that memory is reckoned with, where the model takes more."""


def encoder_need(card: ModelCard, tokenizer_bytes: int) -> Need:
    """Bytes of the process (its resident set) after texts of all lengths."""
    shape = card.shape
    longest = min(card.context_length, _LONGEST)
    tokens = max(CPU_LIMITS.tokens, longest)
    scores = shape.heads * tokens * longest
    return Need(
        runtime=_RUNTIME + _TOKENIZER * tokenizer_bytes,
        weights=card.size_bytes + _arranged_bytes(card),
        kv=0,
        compute=_NUMBER * (tokens * _WIDTHS * shape.hidden + scores),
    )


def _arranged_bytes(card: ModelCard) -> int:
    """What onnxruntime makes of the weights: matrices arranged anew, beside those of the file.

    Embeddings stay as they are, unless they are quantised: they become float32 twice.
    """
    words = _NUMBER * card.shape.vocabulary * card.shape.hidden
    if words > card.size_bytes:
        return 2 * words + card.size_bytes
    return card.size_bytes - words
