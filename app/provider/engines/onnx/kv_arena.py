"""Memory for keys and values: virtual until it is written, released when it is too much."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.provider.errors import ModelNotLoadable

Tensor = npt.NDArray[Any]
State = list[Tensor]
"""Keys and values of one sequence: a tensor ``[heads, tokens, width]`` for each of the arena."""

STEP = 256
"""Lengths of rows and widths of masks are multiples of it, so that every row begins on a page."""


class KvArena:
    """Tensors ``[rows, heads, length, width]``, one for the keys and one for the values of a layer.

    ``shapes`` are the heads and width of each. ``written`` is how many tokens of each row have
    ever been written: that part of the row is real memory.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int]], rows: int, length: int, dtype: np.dtype[Any]
    ) -> None:
        self.length = -(-length // STEP) * STEP
        self.written = [0] * rows
        self.cell_bytes = sum(heads * width for heads, width in shapes) * dtype.itemsize
        sizes = [rows * heads * self.length * width * dtype.itemsize for heads, width in shapes]
        self._maps = [_reserve(size) for size in sizes]
        self.tensors = [
            np.frombuffer(memory, dtype).reshape(rows, heads, self.length, width)
            for memory, (heads, width) in zip(self._maps, shapes, strict=True)
        ]

    def mark_written(self, row: int, tokens: int) -> None:
        """Record that the first ``tokens`` of a row are written."""
        self.written[row] = max(self.written[row], tokens)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first ``tokens`` of one row to another."""
        self.mark_written(source, tokens)
        self.mark_written(target, tokens)
        for tensor in self.tensors:
            tensor[target, :, :tokens] = tensor[source, :, :tokens]

    def swap(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first ``tokens`` of two rows."""
        self.mark_written(one, tokens)
        self.mark_written(other, tokens)
        for tensor in self.tensors:
            held = tensor[one, :, :tokens].copy()
            tensor[one, :, :tokens] = tensor[other, :, :tokens]
            tensor[other, :, :tokens] = held

    def save(self, row: int, tokens: int) -> State:
        """A compact copy of the first ``tokens`` of a row."""
        return [tensor[row, :, :tokens].copy() for tensor in self.tensors]

    def restore(self, row: int, state: State, tokens: int) -> None:
        """Put the first ``tokens`` of a state into a row."""
        self.mark_written(row, tokens)
        for tensor, saved in zip(self.tensors, state, strict=True):
            tensor[row, :, :tokens] = saved[:, :tokens]

    def release_memory(self, row: int) -> None:
        """Return the memory of an unused row to the system, where the system has such a call."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        self.written[row] = 0
        for memory in self._maps:
            size = len(memory) // len(self.written)
            memory.madvise(mmap.MADV_DONTNEED, row * size, size)

    def close(self) -> None:
        """Free the memory; nothing may use the tensors after that."""
        self.tensors.clear()
        self._maps.clear()


def _reserve(size: int) -> mmap.mmap:
    try:
        memory = mmap.mmap(-1, size)
    except OSError as error:
        raise ModelNotLoadable(
            "There is not enough memory for keys and values; "
            "set CONTEXT_LENGTH or KV_CACHE_MB lower."
        ) from error
    if hasattr(mmap, "MADV_NOHUGEPAGE"):  # with huge pages one token would take 2 MB
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory
