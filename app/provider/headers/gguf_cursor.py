"""Reads the parts of a GGUF header from a file, block by block."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from app.provider.headers import budget

U64 = struct.Struct("<Q")

_MAGIC = 4
"""Bytes of the format's magic, which has been read already."""
_LONGEST_STRING = 2**30
"""Bytes."""
_MOST_STRINGS = 2**32
_BLOCK = 2**18
_EVERY = 4096
"""Texts of a list between two checks of the budget."""


class CutOffError(ValueError):
    """The file ends too early."""


class DamagedError(ValueError):
    """The header makes no sense; ``str()`` is part of a sentence."""


class Cursor:
    """Reads block by block. A mapped file would kill the process if it shrank meanwhile."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._data = b""
        self._start = _MAGIC
        """Where in the file ``_data`` begins."""
        self._at = 0
        self.size = size

    def aligned(self, alignment: int) -> int:
        """The next position in the file that is a multiple of ``alignment``."""
        return -(-(self._start + self._at) // alignment) * alignment

    def raw(self, length: int) -> bytes:
        """The next bytes."""
        self._fill(length)
        self._at += length
        return self._data[self._at - length : self._at]

    def scalar(self, kind: struct.Struct) -> Any:
        """Read a number or a boolean."""
        self._fill(kind.size)
        (value,) = kind.unpack_from(self._data, self._at)
        self._at += kind.size
        return value

    def string(self, longest: int) -> str | None:
        """Read a text; None for a longer one, which is skipped."""
        length = self.scalar(U64)
        if length > _LONGEST_STRING:
            raise DamagedError("its header has a text of an impossible length")
        if length > longest:
            self.skip(length)
            return None
        budget.take(length)
        return self.raw(length).decode("utf-8", errors="replace")

    def skip_strings(self, count: int) -> None:
        """Skip a list of texts, like a vocabulary, which is long and not needed here."""
        if count > _MOST_STRINGS:
            raise DamagedError("its header has a list of an impossible length")
        unpack, left = U64.unpack_from, count
        while left:
            budget.check()
            at, data = self._at, self._data
            last = len(data) - U64.size
            for _ in range(min(left, _EVERY)):
                if at > last:
                    self.skip(at - self._at)
                    self._fill(U64.size)
                    at, data = self._at, self._data
                    last = len(data) - U64.size
                at += 8 + unpack(data, at)[0]
            self.skip(at - self._at)
            left -= min(left, _EVERY)

    def skip(self, length: int) -> None:
        """Skip bytes without reading those that are not in memory yet."""
        if self._start + self._at + length > self.size:
            raise CutOffError
        self._at += length
        if self._at > len(self._data):
            self._start += self._at
            self._at, self._data = 0, b""
            self._file.seek(self._start)

    def _fill(self, length: int) -> None:
        """Read on until so many bytes are in memory."""
        if self._at + length <= len(self._data):
            return
        if self._start + self._at + length > self.size:
            raise CutOffError
        self._start += self._at
        self._data = self._data[self._at :]
        self._at = 0
        self._file.seek(self._start + len(self._data))
        self._data += self._file.read(max(_BLOCK, length - len(self._data)))
        if length > len(self._data):
            raise CutOffError  # the file has been shortened meanwhile
