"""Reads the description of a GGUF file, and predicts its model's memory."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard, Vision
from app.provider.catalogue.names import is_named_gguf
from app.provider.engine import EngineLimits, Library
from app.provider.engines.gguf.context_cells import ContextLayout
from app.provider.engines.gguf.encoder import sizes
from app.provider.engines.gguf.model_card import describe, unreadable
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prefill_budget import BATCH_TOKENS
from app.provider.memory import Need

LIBRARIES = {"llama_cpp": Library("llama-cpp-python", "./run.sh install")}

_RUNTIME = 53 * 2**20
"""Python, numpy and llama.cpp without a model."""

_MTMD_RUNTIME = 12 * 2**20
"""libmtmd and Pillow."""

DEAD_LINK = "It is a link to a file that is not there: copy the file, or delete the link."

_PATCHES_PER_TOKEN = 4
_USUAL_PATCHES = 4096
"""Patches of an image, where the file does not state how large one may be."""

_PATCH, _MASK = 40_000, 6
"""Bytes of scratch memory for a patch, and for a pair of patches.

Measured with the shape of Qwen2.5-VL's vision tower on a CPU.
"""


def read(path: Path) -> ModelCard | None:
    """Describe a GGUF file, whatever its name; None for anything else."""
    if path.is_symlink() and not path.exists() and is_named_gguf(path):
        return unreadable(path, DEAD_LINK)
    return describe(path) if path.is_file() else None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of the process. The mapped weights count, and all cells are taken at once.

    Scratch memory is a row of logits for each sequence, the tables of the vocabulary and the
    activations of a batch; measured with llama.cpp on CPUs.
    """
    if card.encoder:
        return sizes.need(card, limits)
    vocabulary, hidden = card.shape.vocabulary, card.shape.hidden
    cell = 2 * card.shape.kv_numbers  # float16
    layout = ContextLayout.of(ContextPlan.of(card.context_length, cell, limits), limits.slots)
    logits = 4 * vocabulary * layout.sequences
    return Need(
        runtime=_RUNTIME,
        weights=card.size_bytes,
        kv=layout.cells * cell,
        compute=logits + 128 * vocabulary + 16 * hidden * BATCH_TOKENS,
        prefix_cache=limits.prefix_cache_bytes + _features(card.vision, limits),
        vision=_vision(card.vision, limits),
        layers=card.shape.layers,
        kv_layout=str(layout),
    )


def _features(vision: Vision | None, limits: EngineLimits) -> int:
    """Bytes of cached image features. Like the prefix cache, they fill up over time."""
    return limits.vision_cache_bytes if vision else 0


def _vision(vision: Vision | None, limits: EngineLimits) -> int:
    """Bytes of the mmproj file, and of scratch memory for the largest image."""
    if vision is None:
        return 0
    most = min(filter(None, (vision.max_tokens, limits.image_tokens)), default=0)
    patches = _PATCHES_PER_TOKEN * most or _USUAL_PATCHES
    mask = _MASK * patches**2 if vision.max_tokens else 0
    return _MTMD_RUNTIME + vision.size_bytes + _PATCH * patches + mask
