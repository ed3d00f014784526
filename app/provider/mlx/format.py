"""What an MLX or Hugging Face folder says of itself, and how many bytes its model will take."""

from __future__ import annotations

import sys
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.huggingface import describe
from app.provider.engine import EngineLimits
from app.provider.memory import Need

LIBRARIES = ("mlx", "mlx_lm")


def read(path: Path) -> ModelCard | None:
    """Describe a folder with config.json and safetensors; None for anything else."""
    return describe(path) if path.is_dir() else None


_MB = 2**20
_RUNTIME = 79 * _MB
"""Python, MLX, mlx-lm and what that imports."""

_COPIES = 0.85
"""Of the running rows: they are copied whenever one joins or leaves, and freed arrays are kept."""


def buffer_bytes(weights: int) -> int:
    """Freed memory that MLX may keep for its next arrays, beside so many bytes of weights."""
    return min(64 * _MB, max(16 * _MB, weights // 4))


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of the process at most (its resident set).

    Keys and values are taken as conversations grow.
    """
    vocabulary = 200 * card.shape.vocabulary  # the tokeniser's tables
    length = min(card.context_length, limits.context_length or card.context_length)
    row = _kv_bytes(card) * (-(-length // 256) * 256)
    running = min(limits.kv_cache_bytes, limits.slots * row) if row else limits.kv_cache_bytes
    return Need(
        runtime=_RUNTIME + vocabulary,
        weights=_in_memory(card),
        kv=int(running * (1 + _COPIES)),
        compute=buffer_bytes(card.size_bytes) // 2,
        prefix_cache=limits.prefix_cache_bytes,
        kv_grows=True,
    )


def _widened(card: ModelCard) -> bool:
    """Whether it is computed in float32, as packed weights and float16 are on a CPU."""
    slow = card.quantization == "F16" or card.quantization.endswith("-bit")
    return slow and sys.platform != "darwin"


def _in_memory(card: ModelCard) -> int:
    """Bytes of the weights; widened, the two scales of 64 packed weights take two more each."""
    if not _widened(card):
        return card.size_bytes
    if card.quantization.endswith("-bit"):
        return card.size_bytes + card.parameters * 4 // 64
    return max(card.size_bytes, 4 * card.parameters)


def _kv_bytes(card: ModelCard) -> int:
    """Bytes of the keys and values of one token."""
    return card.shape.kv_numbers * (4 if _widened(card) or card.quantization == "F32" else 2)
