"""What an MLX or Hugging Face folder says of itself, and how many bytes its model will take."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from app.provider.architectures.qwen_vl import SETTINGS, Scaling
from app.provider.card import ModelCard, Task, Vision
from app.provider.catalogue.engine_choice import MLX_VISION_MODELS
from app.provider.catalogue.huggingface import CONFIG, describe
from app.provider.engine import EngineLimits
from app.provider.headers.fields import number, section
from app.provider.headers.files import optional_json
from app.provider.memory import Need

LIBRARIES = ("mlx", "mlx_lm")


def read(path: Path) -> ModelCard | None:
    """Describe a folder with config.json and safetensors that MLX serves; None for any other."""
    card = describe(path) if path.is_dir() else None
    return _looked_at(card) if card and card.engine == "mlx" else None


def _looked_at(card: ModelCard) -> ModelCard:
    """Note what pictures the model takes here; others only read and write."""
    if card.architecture not in MLX_VISION_MODELS or "vision" not in card.tasks:
        tasks: tuple[Task, ...] = tuple(task for task in card.tasks if task != "vision")
        return replace(card, tasks=tasks, vision=None)
    scaling = Scaling.of(optional_json(card.path / SETTINGS))
    vision = Vision(scaling.min_tokens, scaling.max_tokens, scaling.max_pixels)
    lacking = None if importlib.util.find_spec("mlx_vlm") else _NEEDS_MLX_VLM
    return replace(card, vision=vision, problem=card.problem or lacking)


_NEEDS_MLX_VLM = "It needs mlx-vlm, which is not installed: run ./run.sh install mlx."
_MB = 2**20
_RUNTIME = 79 * _MB
"""Python, MLX, mlx-lm and what that imports."""

_MLX_VLM = 16 * _MB
"""What it imports."""

ROWS = 4096
"""Patches of a picture whose inner layers are in memory at once."""

MOST_SCORES = 2**22
"""Numbers of attention inside a picture that are in memory at once, on a CPU."""

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
        prefix_cache=limits.prefix_cache_bytes + (limits.vision_cache_bytes if card.vision else 0),
        vision=_vision_bytes(card, limits, length),
        kv_grows=True,
    )


def _vision_bytes(card: ModelCard, limits: EngineLimits, length: int) -> int:
    """mlx-vlm, and the arrays of looking at the largest picture."""
    if card.vision is None:
        return 0
    vision = section(optional_json(card.path / CONFIG), "vision_config")
    width, heads = number(vision, "embed_dim", "hidden_size"), number(vision, "num_heads")
    inner = number(vision, "intermediate_size") or 4 * width
    tokens = min(card.vision.max_tokens, length)
    patches = 4 * min(tokens, limits.image_tokens or tokens)
    scores = min(MOST_SCORES, heads * patches**2)
    return _MLX_VLM + 4 * (9 * width * patches + 2 * inner * min(patches, ROWS) + 2 * scores)


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
