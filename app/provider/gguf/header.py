"""Reads the header of a GGUF file: its metadata, and whether the file is whole.

Plain Python, for the API process, which must not load llama.cpp. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAGIC = b"GGUF"

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]
_LONGEST_STRING = 2**24

TENSOR_TYPES = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
}
"""ggml tensor type → weights in a block and bytes of a block (ggml's type traits)."""


@dataclass(frozen=True, slots=True)
class Header:
    """Scalar metadata by key (arrays are left out), and ``whole``: no tensor is cut off."""

    metadata: dict[str, Any]
    whole: bool


def read_header(path: Path) -> Header | None:
    """Read ``path``; None when it is no GGUF file. A file that ends too early is not whole."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Cursor(data).header()


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = len(MAGIC)

    def header(self) -> Header:
        metadata: dict[str, Any] = {}
        try:
            self._scalar(_U32)  # version
            tensors, pairs = self._scalar(_U64), self._scalar(_U64)
            for _ in range(pairs):
                key, value = self._string(), self._value(self._scalar(_U32))
                if value is not None:
                    metadata[key] = value
            whole = self._tensors_end(tensors, metadata.get("general.alignment", 32))
        except (struct.error, ValueError, KeyError, OverflowError, ZeroDivisionError):
            return Header(metadata, whole=False)
        return Header(metadata, whole)

    def _tensors_end(self, tensors: int, alignment: int) -> bool:
        """Whether every tensor ends inside the file."""
        furthest = 0
        for _ in range(tensors):
            self._string()
            shape = [self._scalar(_U64) for _ in range(self._scalar(_U32))]
            block, block_bytes = TENSOR_TYPES.get(self._scalar(_U32), (256, 1))
            size = math.prod(shape) // block * block_bytes
            furthest = max(furthest, self._scalar(_U64) + size)
        start = -(-self._at // alignment) * alignment
        return start + furthest <= len(self._data)

    def _scalar(self, kind: struct.Struct) -> Any:
        (value,) = kind.unpack_from(self._data, self._at)
        self._at += kind.size
        return value

    def _string(self) -> str:
        length = self._scalar(_U64)
        if length > _LONGEST_STRING:
            raise ValueError("a string of that length is a damaged header")
        text = self._data[self._at : self._at + length]
        self._at += length
        return text.decode("utf-8", errors="replace")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._skip_array(self._scalar(_U32), self._scalar(_U64))
        return self._scalar(_SCALARS[kind])

    def _skip_array(self, kind: int, count: int) -> None:
        """Walk over a list; vocabularies are long and nothing here asks for them."""
        if kind in _SCALARS:
            self._at += _SCALARS[kind].size * count
            return
        if kind == _ARRAY:
            raise ValueError("no GGUF writer nests lists")
        unpack, at, data = _U64.unpack_from, self._at, self._data
        for _ in range(count):
            at += 8 + unpack(data, at)[0]
        self._at = at
