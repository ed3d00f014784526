"""Walks over a protocol buffer in a file without reading its large fields.

Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from app.provider.headers import budget

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_TEXT = 4096
_MOST_FIELDS = 1_000_000


class Field(NamedTuple):
    """Number of a field, its value if it is an integer, and the range of its content."""

    number: int
    value: int
    start: int
    end: int


class Reader:
    """Reads the messages of one file; raises ValueError where one is damaged or cut off."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self._left = _MOST_FIELDS

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message between two positions."""
        self._file.seek(start)
        at = start
        while at < end:
            field = self._field(end)
            yield field
            at = field.end
            self._file.seek(at)

    def text(self, field: Field) -> str:
        """The content of a short text."""
        return self.content(field).decode("utf-8", errors="replace")

    def content(self, field: Field) -> bytes:
        """The bytes of a short field."""
        self._file.seek(field.start)
        return self._file.read(min(field.end - field.start, _LONGEST_TEXT))

    def integers(self, field: Field) -> list[int]:
        """The integers of a field that may be packed."""
        if field.start == field.end:
            return [field.value]
        self._file.seek(field.start)
        found = []
        while self._file.tell() < field.end:
            self._spend()
            found.append(self._varint())
        return found

    def _field(self, end: int) -> Field:
        self._spend()
        key = self._varint()
        number, kind = key >> 3, key & 7
        value = self._varint() if kind in {_VARINT, _BYTES} else 0
        at = self._file.tell()
        lengths = {_VARINT: 0, _FIXED64: 8, _BYTES: value, _FIXED32: 4}
        if number == 0 or kind not in lengths or at + lengths[kind] > end:
            raise ValueError("no field of a message")
        return Field(number, value, at, at + lengths[kind])

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            byte = self._file.read(1)
            if not byte:
                raise ValueError("the file is cut off")
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise ValueError("no such integer")

    def _spend(self) -> None:
        self._left -= 1
        if self._left % 1024 == 0:
            budget.check()
        if self._left < 0:
            raise ValueError("so many fields are a damaged file")
