"""Which of onnxruntime's execution providers runs a model."""

from __future__ import annotations

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
"""Those that leave keys and values in RAM, where this engine keeps them."""


def choose(wanted: Sequence[str], *, paged: bool) -> str:
    """The first of the ``wanted`` names that is installed and can run batches of this engine.

    Raises ModelNotLoadable when there is none, for a name that does not exist, and for models
    with paged attention, which keep keys and values in blocks on a GPU.
    """
    if paged:
        raise ModelNotLoadable(
            "This model was built with paged attention, which this engine does not run; "
            "build it without use_paged_attention."
        )
    installed = ort.get_available_providers()
    for name in wanted:
        if name not in NAMES:
            known = ", ".join(sorted(NAMES))
            raise ModelNotLoadable(f"ONNX_PROVIDERS names {name!r}; there are only {known}.")
        if name in IN_RAM and NAMES[name] in installed:
            return name
        lacks = "is not installed" if name in IN_RAM else "keeps no keys and values in RAM"
        log.warning("the execution provider %s %s; trying the next one", name, lacks)
    raise ModelNotLoadable(
        f"None of ONNX_PROVIDERS ({', '.join(wanted)}) can run this model; use cpu."
    )
