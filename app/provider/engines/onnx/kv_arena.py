"""Memory for keys and values: virtual until it is written, and given back when it is too much."""

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
"""Lengths of rows and widths of masks are multiples of it; so every row begins on a page."""


class Arena:
    """Tensors ``[rows, heads, length, width]``, one for the keys and one for the values of a layer.

    ``shapes`` are the heads and width of each. ``touched`` records how many tokens of a row have
    ever been written: that much of it is real memory.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int]], rows: int, length: int, dtype: np.dtype[Any]
    ) -> None:
        self.length = -(-length // STEP) * STEP
        self.touched = [0] * rows
        self.cell_bytes = sum(heads * width for heads, width in shapes) * dtype.itemsize
        sizes = [rows * heads * self.length * width * dtype.itemsize for heads, width in shapes]
        self._maps = [_reserve(size) for size in sizes]
        self.tensors = [
            np.frombuffer(memory, dtype).reshape(rows, heads, self.length, width)
            for memory, (heads, width) in zip(self._maps, shapes, strict=True)
        ]

    def note(self, row: int, tokens: int) -> None:
        """Note that the first ``tokens`` of a row are written."""
        self.touched[row] = max(self.touched[row], tokens)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first ``tokens`` of one row to another."""
        self.note(source, tokens)
        self.note(target, tokens)
        for tensor in self.tensors:
            tensor[target, :, :tokens] = tensor[source, :, :tokens]

    def swap(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first ``tokens`` of two rows."""
        self.note(one, tokens)
        self.note(other, tokens)
        for tensor in self.tensors:
            held = tensor[one, :, :tokens].copy()
            tensor[one, :, :tokens] = tensor[other, :, :tokens]
            tensor[other, :, :tokens] = held

    def save(self, row: int, tokens: int) -> State:
        """A compact copy of the first ``tokens`` of a row."""
        return [tensor[row, :, :tokens].copy() for tensor in self.tensors]

    def restore(self, row: int, state: State, tokens: int) -> None:
        """Put the first ``tokens`` of a state into a row."""
        self.note(row, tokens)
        for tensor, saved in zip(self.tensors, state, strict=True):
            tensor[row, :, :tokens] = saved[:, :tokens]

    def give_back(self, row: int) -> None:
        """Let the system have the memory of a row that nobody uses.

        Where it cannot be told, the row stays real memory.
        """
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        self.touched[row] = 0
        for memory in self._maps:
            size = len(memory) // len(self.touched)
            memory.madvise(mmap.MADV_DONTNEED, row * size, size)

    def close(self) -> None:
        """Free it; nothing may look at the tensors any more."""
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
    if hasattr(mmap, "MADV_NOHUGEPAGE"):  # a huge page would make 2 MB real for one token
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory
