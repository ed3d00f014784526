"""Reads the description of a Hugging Face folder, and predicts its model's memory."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.huggingface import describe
from app.provider.engine import EngineLimits, Library
from app.provider.engines.pytorch.encoder.sizes import encoder_need
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prefill_budget import BATCH_TOKENS
from app.provider.memory import Need

LIBRARIES = {
    "torch": Library("PyTorch", "./run.sh install pytorch"),
    "transformers": Library("transformers", "./run.sh install pytorch"),
    "safetensors": Library("safetensors", "./run.sh install pytorch"),
}

_RUNTIME = 355 * 2**20
"""Python, PyTorch, transformers and what these import."""

_WIDTHS = 16
"""Numbers that a token in prefill needs at once, in widths of the model."""

_BYTES_PER_PIXEL = 48
"""Taken while an image is encoded."""

_COPIES = 0.5
"""Of the running rows: they are copied whenever one joins or leaves."""


def read(path: Path) -> ModelCard | None:
    """Describe a folder with config.json and safetensors that PyTorch serves; None for others."""
    card = describe(path) if path.is_dir() else None
    return card if card and card.engine == "pytorch" else None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of the process at most (its resident set, and that of the GPU).

    Keys and values are taken as conversations grow.
    """
    shape, width = card.shape, _width(card, limits)
    if card.encoder:
        return encoder_need(card, limits, _weights(card, width))
    token = width * shape.kv_numbers
    plan = ContextPlan.of(card.context_length, token, limits)
    running = min(plan.cells, limits.slots * plan.length) * token
    return Need(
        runtime=_RUNTIME + 200 * shape.vocabulary,
        weights=_weights(card, width),
        kv=int(running * (1 + _COPIES)),
        compute=4 * (limits.slots * shape.vocabulary + _WIDTHS * shape.hidden * BATCH_TOKENS)
        + _BYTES_PER_PIXEL * (card.vision.max_pixels if card.vision else 0),
        prefix_cache=limits.prefix_cache_bytes,
        vision=limits.vision_cache_bytes if card.vision else 0,
        kv_grows=True,
        layers=shape.layers,
    )


def _width(card: ModelCard, limits: EngineLimits) -> int:
    """Bytes of a number as it is computed; float16 is widened where there is no GPU."""
    if limits.torch_dtype != "auto":
        return 4 if limits.torch_dtype == "float32" else 2
    if card.quantization == "F16":
        return 2 if limits.gpu_layers else 4
    return 2 if card.quantization == "BF16" else 4


def _weights(card: ModelCard, width: int) -> int:
    """Bytes of the weights in that type."""
    return card.parameters * width if card.parameters else card.size_bytes
