"""The rows of a ``llama_batch``: tokens or image vectors, never both in one batch."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""[rows, width]"""
ImagePositions = NDArray[np.int32]
"""[sections, rows]: positions, in four sections (time, row, column, other) with M-RoPE, or one."""


class TokenRows:
    """Tokens, written through numpy: a whole prompt is added in one call."""

    def __init__(self, size: int) -> None:
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._sequence = np.zeros(size, np.int32)
        self._sequences_per_row = np.ones(size, np.int32)
        self._output = np.zeros(size, np.int8)
        self._sequence_pointers = _addresses(self._sequence)
        self._count = 0
        self._batch = llama_cpp.llama_batch(
            n_tokens=0,
            token=_pointer(self._token, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._position, ctypes.c_int32),
            n_seq_id=_pointer(self._sequences_per_row, ctypes.c_int32),
            seq_id=_sequence_ids(self._sequence_pointers),
            logits=_pointer(self._output, ctypes.c_int8),
        )

    def add(self, sequence: int, position: int, tokens: list[int], *, output: bool) -> int:
        """Append tokens of a sequence; return the row of the last one."""
        rows = slice(self._count, self._count + len(tokens))
        self._token[rows] = tokens
        self._position[rows] = np.arange(position, position + len(tokens), dtype=np.int32)
        self._sequence[rows] = sequence
        self._output[rows] = 0
        self._count += len(tokens)
        self._output[self._count - 1] = output
        return self._count - 1

    @property
    def outputs(self) -> int:
        """How many rows have an output: one for each running answer."""
        return int(self._output[: self._count].sum())

    def sort(self) -> NDArray[np.int64] | None:
        """Order the rows by sequence; returns where each row went, None if all stay.

        With streams llama.cpp computes together only what follows each other in this order.
        """
        sequences = self._sequence[: self._count]
        if self._count < 2 or not (sequences[1:] < sequences[:-1]).any():
            return None
        order = np.argsort(sequences, kind="stable")
        for rows in (self._token, self._position, self._sequence, self._output):
            rows[: self._count] = rows[order]
        return np.argsort(order)

    def take(self) -> llama_cpp.llama_batch:
        """Return the rows as a batch; the next ``add`` begins a new one."""
        self._batch.n_tokens, self._count = self._count, 0
        return self._batch


class VectorRows:
    """Vectors of images; a batch stays valid until the next ``take``."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, ImagePositions, Vectors, bool]] = []
        self._taken: tuple[NDArray[Any], ...] = ()

    def add(
        self, sequence: int, image_positions: ImagePositions, vectors: Vectors, *, output: bool
    ) -> int:
        """Append vectors of an image; return the row of the last one."""
        self._parts.append((sequence, image_positions, vectors, output))
        return sum(len(part[2]) for part in self._parts) - 1

    def take(self) -> llama_cpp.llama_batch:
        """Return the rows as a batch; the next ``add`` begins a new one.

        Positions are ordered by section over the whole batch: all times, then all rows, and so on.
        """
        parts, self._parts = self._parts, []
        lengths = [len(vectors) for _, _, vectors, _ in parts]
        vectors = np.concatenate([part[2] for part in parts])
        image_positions = np.ascontiguousarray(np.concatenate([part[1] for part in parts], axis=1))
        sequences = np.repeat(np.array([part[0] for part in parts], np.int32), lengths)
        per_row = np.ones(len(vectors), np.int32)
        output = np.zeros(len(vectors), np.int8)
        output[np.cumsum(lengths) - 1] = [part[3] for part in parts]
        pointers = _addresses(sequences)
        self._taken = (vectors, image_positions, sequences, per_row, output, pointers)
        return llama_cpp.llama_batch(
            n_tokens=len(vectors),
            token=None,
            embd=_pointer(vectors, ctypes.c_float),
            pos=_pointer(image_positions, ctypes.c_int32),
            n_seq_id=_pointer(per_row, ctypes.c_int32),
            seq_id=_sequence_ids(pointers),
            logits=_pointer(output, ctypes.c_int8),
        )


def _addresses(sequences: NDArray[np.int32]) -> NDArray[np.uintp]:
    """The address of each row's sequence number."""
    addresses = sequences.ctypes.data + 4 * np.arange(len(sequences), dtype=np.uint64)
    return addresses.astype(np.uintp)


def _sequence_ids(pointers: NDArray[np.uintp]) -> object:
    return ctypes.cast(pointers.ctypes.data, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32)))


def _pointer(array: NDArray[Any], kind: type) -> object:
    return array.ctypes.data_as(ctypes.POINTER(kind))
