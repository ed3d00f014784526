"""Chooses onnxruntime's execution provider for a model."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence

import onnxruntime as ort

from app.provider.errors import ModelNotLoadable

log = logging.getLogger(__name__)

NAMES = {
    "cpu": "CPUExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "dml": "DmlExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
}
"""Name in the settings → onnxruntime's."""

IN_RAM = {"cpu", "coreml"}
"""Providers that leave keys and values in RAM, as ``OnnxEngine`` needs."""

_ON_GPU = {"cuda", "dml", "webgpu"}
"""Providers that onnxruntime-genai's engine runs on."""


def usable(wanted: Sequence[str], *, paged: bool) -> list[str]:
    """Those of the ``wanted`` names that are installed and may run a decoder, in that order.

    Raises ModelNotLoadable when there is none, and for a name that does not exist. ``paged``:
    only onnxruntime-genai's own engine runs the model.
    """
    found = []
    for name in _installed(wanted):
        if name in _ON_GPU and not _in_genai(name):
            log.warning("onnxruntime-genai is not built for %s; trying the next one", name)
        elif paged and name == "coreml":
            log.warning("coreml knows no paged attention; trying the next one")
        else:
            found.append(name)
    return _any(found, wanted, use="cuda or webgpu" if paged else "cpu")


def installed(wanted: Sequence[str]) -> list[str]:
    """Those of the ``wanted`` names that are installed; raises as ``usable`` does."""
    return _any(_installed(wanted), wanted, use="cpu")


def _installed(wanted: Sequence[str]) -> list[str]:
    here, found = ort.get_available_providers(), []
    for name in wanted:
        if name not in NAMES:
            known = ", ".join(sorted(NAMES))
            raise ModelNotLoadable(f"ONNX_PROVIDERS names {name!r}; there are only {known}.")
        if NAMES[name] in here:
            found.append(name)
        else:
            log.warning("the execution provider %s is not installed; trying the next one", name)
    return found


def _any(found: list[str], wanted: Sequence[str], *, use: str) -> list[str]:
    if not found:
        names = ", ".join(wanted)
        raise ModelNotLoadable(f"None of ONNX_PROVIDERS ({names}) can run this model; use {use}.")
    return found


def _in_genai(name: str) -> bool:
    """Whether onnxruntime-genai is built for it; ``OnnxEngine`` does not need that library."""
    library = importlib.import_module("onnxruntime_genai")
    return bool(getattr(library, f"is_{name}_available")())
