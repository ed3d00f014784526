"""Runs one graph of an encoder in onnxruntime, whatever its inputs are called and typed."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.provider.engines.onnx.providers import NAMES
from app.provider.errors import ModelNotLoadable, ProviderError

log = logging.getLogger(__name__)

Feeds = Mapping[str, NDArray[Any]]

_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES = 64 * 2**20
_LARGEST_KEPT_TENSOR = 8 * 2**20


class Session:
    """A loaded graph; raises ModelNotLoadable where onnxruntime cannot load it.

    ``shapes`` are those of its inputs and outputs by name: a number where a dimension is fixed.
    """

    def __init__(self, path: Path, provider: str, threads: int) -> None:
        self.name = path.name
        self._session = _open(path, provider, threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self.inputs = [one.name for one in inputs]
        self.outputs = [one.name for one in outputs]
        self.shapes: dict[str, list[Any]] = {one.name: one.shape for one in (*inputs, *outputs)}
        self._types = {one.name: _number_type(self.name, one) for one in inputs}

    def fixed(self, name: str, axis: int) -> int:
        """The size of a dimension of an input or output; 0 where it is free or there is none."""
        shape = self.shapes.get(name, [])
        size = shape[axis] if -len(shape) <= axis < len(shape) else None
        return size if isinstance(size, int) and size > 0 else 0

    def rank(self, name: str) -> int:
        """Dimensions of an input or output."""
        return len(self.shapes[name])

    def run(self, output: str, feeds: Feeds) -> NDArray[np.float32]:
        """Compute one output; the inputs get the types that the graph wants."""
        typed = {name: feeds[name].astype(self._types[name], copy=False) for name in self.inputs}
        try:
            (found,) = self._session.run([output], typed)
        except Exception as error:  # the library's errors have no class in common
            log.exception("%s cannot be computed", self.name)
            raise ProviderError(f"onnxruntime cannot compute this input: {error}") from error
        return np.asarray(found, np.float32)

    def require(self, known: Sequence[str]) -> None:
        """Raise ModelNotLoadable if the graph has other inputs."""
        if unknown := [name for name in self.inputs if name not in known]:
            raise ModelNotLoadable(
                f"{self.name} wants inputs that are not known here: {', '.join(unknown[:3])}."
            )


def keep_freed_memory() -> None:
    """Let the C library keep some freed memory for the next tensors of that size.

    onnxruntime's own arena is as fast, but keeps all that the longest text once took. Larger
    tensors go back to the system at once.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # only glibc has it
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_TENSOR)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_TOP_PAD, 2**20)


def _open(path: Path, provider: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads are a little faster alone and ruinous beside any other process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # it would keep a plan for every shape of a batch
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    chosen = list(dict.fromkeys((NAMES[provider], NAMES["cpu"])))
    try:
        return ort.InferenceSession(path, options, providers=chosen)
    except Exception as error:
        raise ModelNotLoadable(f"onnxruntime cannot load {path.name}: {error}") from error


def _number_type(graph: str, tensor: ort.NodeArg) -> type[np.generic]:
    if tensor.type not in _TYPES:
        raise ModelNotLoadable(f"{graph} wants {tensor.name} as {tensor.type}, unknown here.")
    return _TYPES[tensor.type]
