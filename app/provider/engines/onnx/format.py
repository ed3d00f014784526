"""Reads the description of a folder for onnxruntime-genai, and predicts its model's memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.provider.card import ModelCard, Vision
from app.provider.catalogue.genai import describe
from app.provider.catalogue.onnx_export import describe as exported
from app.provider.engine import EngineLimits, Library
from app.provider.engines.onnx.encoder.sizes import encoder_need
from app.provider.engines.onnx.settings import read_settings
from app.provider.engines.onnx.weights import weight_bytes
from app.provider.errors import ModelNotLoadable
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prefill_budget import BATCH_TOKENS
from app.provider.memory import Need

LIBRARIES = {
    "onnxruntime": Library("onnxruntime", "./run.sh install"),
    "tokenizers": Library("tokenizers"),
}

_RUNTIME = 67 * 2**20
"""Bytes of the process with its libraries and no model."""

_TOKENIZER = 14
"""Bytes in RAM for each byte of tokenizer.json."""

_NUMBER = 4
"""Bytes of a float32: keys, values and all that is computed on a CPU."""

_WIDTHS = 16
"""Numbers that a piece of a prompt needs at once, in widths of the model."""

_BYTES_PER_PIXEL = 136
"""Taken while the library cuts images into patches (measured)."""


def read(path: Path) -> ModelCard | None:
    """Describe a folder with a genai_config.json or of an export; None for anything else."""
    if not path.is_dir():
        return None
    if card := describe(path):
        return card if card.problem else replace(card, problem=_refusal(path))
    return exported(path)


def _refusal(path: Path) -> str | None:
    """Why the engine would refuse the settings."""
    try:
        read_settings(path)
    except ModelNotLoadable as error:
        return str(error)
    return None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of the process at most (its resident set).

    Keys and values become real memory only as they are written.
    """
    tokenizer = card.path / "tokenizer.json"
    words = tokenizer.stat().st_size if tokenizer.is_file() else 0
    if card.encoder:
        return encoder_need(card, words)
    if card.vision:  # the library's generator, which has one conversation and keeps none
        limits = replace(limits, slots=1, prefix_cache_bytes=0)
    shape = card.shape
    cell = _NUMBER * shape.kv_numbers
    plan = ContextPlan.of(card.context_length, cell, limits)
    return Need(
        runtime=_RUNTIME + _TOKENIZER * words,
        weights=weight_bytes(card),
        kv=plan.cells_of_slots(limits.slots) * cell,
        compute=_NUMBER * (limits.slots * shape.vocabulary + _WIDTHS * shape.hidden * BATCH_TOKENS),
        prefix_cache=limits.prefix_cache_bytes,
        vision=_image_bytes(card.vision, plan.length),
        kv_grows=True,
    )


def _image_bytes(vision: Vision | None, length: int) -> int:
    """Bytes for a prompt of images alone; the library prepares all of them at once."""
    if vision is None:
        return 0
    return _BYTES_PER_PIXEL * length * (vision.max_pixels // vision.max_tokens)
