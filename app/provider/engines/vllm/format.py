"""Predicts the memory of a model in vLLM."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard
from app.provider.engine import EngineLimits, Library
from app.provider.memory import Need

LIBRARIES: dict[str, Library] = {}
"""vLLM has an environment of its own."""

_SERVER = 5 * 2**28
"""RAM of its API server and its scheduler (640 and 597 MB in vLLM 0.32 for CPUs)."""
_WORKER = 3 * 2**30
"""RAM of its process for a GPU: Python, PyTorch and CUDA (estimated; 936 MB for a CPU)."""
_ACTIVATIONS = 3 * 2**29
"""GPU memory of each of them for CUDA, its graphs and what a step computes."""

_NARROW = 2
_WIDE = 4
_NOT_PACKED = ("F32", "F16", "BF16")


def read(path: Path) -> ModelCard | None:
    """No folder is read here: the settings choose vLLM for those of other engines."""
    return None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of its processes at most; all keys and values are taken when the model is loaded."""
    workers = limits.vllm.tensor_parallel_size
    return Need(
        runtime=_SERVER + workers * _WORKER,
        weights=_weights(card, limits),
        kv=limits.kv_cache_bytes,
        compute=workers * _ACTIVATIONS,
        layers=card.shape.layers or 1,
    )


def _weights(card: ModelCard, limits: EngineLimits) -> int:
    """Bytes of the weights in the type that vLLM computes in; packed ones stay as they are."""
    if card.quantization not in _NOT_PACKED or not card.parameters:
        return card.size_bytes
    wide = limits.vllm.dtype in ("float", "float32")
    return card.parameters * (_WIDE if wide else _NARROW)
