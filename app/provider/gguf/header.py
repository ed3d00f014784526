"""Reads the header of a GGUF file: its metadata, and whether the file is whole.

Plain Python, for the API process, which must not load llama.cpp. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from app.provider.catalogue.files import open_regular

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
_LONGEST_HEADER = 2**26
"""Bytes; the largest vocabularies take a quarter of it."""
_LONGEST_LIST = 1024
"""Numbers; a list with one for each layer is kept, one for each token is not."""
_MOST_TEXTS = 2**21
_MOST_TENSORS = 2**16
_MOST_DIMENSIONS = 4
_PIECE = 2**20

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
    40: (64, 36),
    41: (128, 18),
}
"""ggml tensor type → weights in a block and bytes of a block (ggml's type traits)."""


@dataclass(slots=True)
class Header:
    """What is known before the weights.

    ``metadata`` holds scalars, texts and short lists of numbers by key, ``lengths`` how long each
    list is. ``tensors`` and ``parameters`` count what the file holds. ``whole``: the header is
    complete, and no tensor is cut off.
    """

    metadata: dict[str, Any] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    tensors: int = 0
    parameters: int = 0
    whole: bool = False


def read_header(path: Path) -> Header | None:
    """Read ``path``; None when it is no GGUF file. Raises nothing but OSError."""
    with open_regular(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        return _Cursor(file, os.fstat(file.fileno()).st_size).header()


class _Cursor:
    """Reads piece by piece; a mapped file that shrinks meanwhile would kill the process."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._data = bytearray(MAGIC)
        self._at = len(MAGIC)

    def header(self) -> Header:
        header = Header()
        try:
            self._read(header)
        except (struct.error, ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError):
            header.whole = False
        return header

    def _read(self, header: Header) -> None:
        self._scalar(_U32)  # version
        header.tensors, pairs = self._scalar(_U64), self._scalar(_U64)
        if max(header.tensors, pairs) > _MOST_TENSORS:
            raise ValueError("so many are a damaged header")
        for _ in range(pairs):
            key, kind = self._string(), self._scalar(_U32)
            if kind == _ARRAY:
                self._array(key, header)
            else:
                header.metadata[key] = self._string() if kind == _STRING else self._number(kind)
        header.whole = self._tensors(header) <= self._size

    def _tensors(self, header: Header) -> int:
        """Count the weights; the length that the file must have."""
        furthest = 0
        for _ in range(header.tensors):
            self._string()
            dimensions = self._scalar(_U32)
            if dimensions > _MOST_DIMENSIONS:
                raise ValueError("ggml knows no such tensors")
            weights = math.prod(self._scalar(_U64) for _ in range(dimensions))
            block, block_bytes = TENSOR_TYPES.get(self._scalar(_U32), (256, 1))
            furthest = max(furthest, self._scalar(_U64) + weights // block * block_bytes)
            header.parameters += weights
        alignment = header.metadata.get("general.alignment", 32)
        return int(-(-self._at // alignment) * alignment + furthest)

    def _array(self, key: str, header: Header) -> None:
        kind, count = self._scalar(_U32), self._scalar(_U64)
        header.lengths[key] = count
        if kind == _STRING:
            self._skip_strings(count)
        elif count <= _LONGEST_LIST:
            header.metadata[key] = [self._number(kind) for _ in range(count)]
        else:
            self._skip(_SCALARS[kind].size * count)

    def _number(self, kind: int) -> Any:
        return self._scalar(_SCALARS[kind])

    def _scalar(self, kind: struct.Struct) -> Any:
        self._fill(kind.size)
        (value,) = kind.unpack_from(self._data, self._at)
        self._at += kind.size
        return value

    def _string(self) -> str:
        length = self._scalar(_U64)
        if length > _LONGEST_STRING:
            raise ValueError("a string of that length is a damaged header")
        self._skip(length)
        return self._data[self._at - length : self._at].decode("utf-8", errors="replace")

    def _skip_strings(self, count: int) -> None:
        """Walk over a vocabulary, which is long and which nothing here asks for."""
        if count > _MOST_TEXTS:
            raise ValueError("no vocabulary is that large")
        unpack, at, data = _U64.unpack_from, self._at, self._data
        for _ in range(count):
            if at + 8 > len(data):
                self._at = at
                self._fill(8)
            at += 8 + unpack(data, at)[0]
        self._skip(at - self._at)

    def _skip(self, length: int) -> None:
        self._fill(length)
        self._at += length

    def _fill(self, length: int) -> None:
        """Have that many bytes at hand; raises ValueError where the file or patience ends."""
        missing = self._at + length - len(self._data)
        if missing <= 0:
            return
        if self._at + length > min(self._size, _LONGEST_HEADER):
            raise ValueError("the header is cut off")
        self._data += self._file.read(max(missing, _PIECE))
        if self._at + length > len(self._data):
            raise ValueError("the file has become shorter")
