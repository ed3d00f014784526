"""Reads the description of an MLX or Hugging Face folder, and predicts its model's memory."""

from __future__ import annotations

import sys
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.huggingface import CONFIG, describe
from app.provider.engine import EngineLimits, Library
from app.provider.headers.fields import number, section
from app.provider.headers.files import optional_json
from app.provider.memory import Need

LIBRARIES = {
    "mlx": Library("MLX", "./run.sh install mlx"),
    "mlx_lm": Library("mlx-lm", "./run.sh install mlx"),
}


def read(path: Path) -> ModelCard | None:
    """Describe a folder with config.json and safetensors that MLX serves; None for any other."""
    card = describe(path) if path.is_dir() else None
    return card if card and card.engine == "mlx" else None


_MB = 2**20
_RUNTIME = 79 * _MB
"""Python, MLX, mlx-lm and what that imports."""

_MLX_VLM = 16 * _MB
"""mlx-vlm and what it imports."""

PATCHES_AT_ONCE = 4096
"""Patches whose inner layers are in memory at once."""

SCORES_AT_ONCE = 2**22
"""Attention scores of an image that are in memory at once, on a CPU."""

_COPIES = 0.85
"""Share of the running rows that is in memory twice.

Rows are copied whenever one joins or leaves, and MLX keeps freed arrays.
"""


def buffer_bytes(weights: int) -> int:
    """Bytes of freed memory that MLX may keep for its next arrays, by the size of the weights."""
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
        prefix_cache=limits.prefix_cache_bytes + (limits.vision_cache_bytes if card.vision else 0),
        vision=_vision_bytes(card, limits, length),
        kv_grows=True,
    )


def _vision_bytes(card: ModelCard, limits: EngineLimits, length: int) -> int:
    """Bytes of mlx-vlm, and of the arrays while the largest image is encoded."""
    if card.vision is None:
        return 0
    vision = section(optional_json(card.path / CONFIG), "vision_config")
    width, heads = number(vision, "embed_dim", "hidden_size"), number(vision, "num_heads")
    inner = number(vision, "intermediate_size") or 4 * width
    tokens = min(card.vision.max_tokens, length)
    patches = 4 * min(tokens, limits.image_tokens or tokens)
    scores = min(SCORES_AT_ONCE, heads * patches**2)
    return _MLX_VLM + 4 * (
        9 * width * patches + 2 * inner * min(patches, PATCHES_AT_ONCE) + 2 * scores
    )


def _widened(card: ModelCard) -> bool:
    """Whether the engine computes in float32: packed weights and float16 on a CPU."""
    slow = card.quantization == "F16" or card.quantization.endswith("-bit")
    return slow and sys.platform != "darwin"


def _in_memory(card: ModelCard) -> int:
    """Bytes of the weights. In float32, the two scales of 64 packed weights take 4 bytes more."""
    if not _widened(card):
        return card.size_bytes
    if card.quantization.endswith("-bit"):
        return card.size_bytes + card.parameters * 4 // 64
    return max(card.size_bytes, 4 * card.parameters)


def _kv_bytes(card: ModelCard) -> int:
    """Bytes of the keys and values of one token."""
    return card.shape.kv_numbers * (4 if _widened(card) or card.quantization == "F32" else 2)
