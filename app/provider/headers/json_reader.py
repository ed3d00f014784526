"""Reads foreign JSON in bounded steps.

``json.loads`` parses everything in one call, holds the interpreter lock meanwhile, and makes
hundreds of megabytes of objects of a few megabytes of brackets. Here Python walks over the
containers, so that other threads run and the budget is checked. Only small, plain values go through
the library.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from app.provider.headers import budget

LONGEST = 2**25
"""Bytes; the index of the largest models has two thirds of them."""

_DEEPEST = 64
_SMALL = 1024
"""Bytes of a container that the library may parse in one call."""
_LONGEST_TEXT = 2**20
_REPEATED = 40
"""Characters of texts that often repeat, as names of files do."""
_EVERY = 512
"""Values between two checks of the budget."""

_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(rb"[ \t\n\r]*")
_KEY = re.compile(rb'[ \t\n\r]*"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_PAIR = re.compile(
    rb'"([^"\\\x00-\x1f]{0,1024})"[ \t\n\r]*:[ \t\n\r]*"([^"\\\x00-\x1f]{0,1024})"'
    rb"[ \t\n\r]*,[ \t\n\r]*"
)
_COLON = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")
_TEXT = re.compile(rb'"([^"\\\x00-\x1f]*)"')
_AFTER = re.compile(rb"[ \t\n\r]*([,}\]])[ \t\n\r]*")
_SCALAR = re.compile(rb"-?(?:[0-9][0-9.eE+-]*|Infinity)|NaN|true|false|null")
_QUOTE, _OBJECT, _LIST = ord('"'), ord("{"), ord("[")
_CLOSING = {_OBJECT: b"}", _LIST: b"]"}


def read_object(content: bytes) -> dict[str, Any]:
    """Decode an object; raises ValueError for anything else, and TooExpensive."""
    value = _decoded(content)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def read_list(content: bytes) -> list[Any]:
    """Decode a list; raises ValueError for anything else, and TooExpensive."""
    value = _decoded(content)
    if not isinstance(value, list):
        raise ValueError("no list")
    return value


def _decoded(content: bytes) -> Any:
    if len(content) > LONGEST:
        raise ValueError("too long")
    return _Reader(content.removeprefix(_BOM)).document()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._values = 0
        self._texts: dict[str, str] = {}

    def document(self) -> Any:
        """The one value that the text is."""
        self._skip(_SPACE)
        value = self._value(0)
        self._skip(_SPACE)
        if self._at != len(self._data):
            raise ValueError("more than one value")
        return value

    def _value(self, depth: int) -> Any:
        self._values += 1
        if self._values % _EVERY == 0:
            budget.check()
        kind = self._data[self._at] if self._at < len(self._data) else 0
        if kind == _QUOTE:
            return self._text()
        if kind in _CLOSING:
            small, value = self._small(_CLOSING[kind])
            if small:
                return value
            return self._object(depth + 1) if kind == _OBJECT else self._list(depth + 1)
        return self._scalar()

    def _small(self, closing: bytes) -> tuple[bool, Any]:
        """Parse a short container without objects inside; returns whether it was one, and it."""
        start = self._at
        end = self._data.find(closing, start, start + _SMALL) + 1
        if not end or self._data.find(b"{", start + 1, end) >= 0:
            return False, None
        piece = self._data[start:end]
        try:
            value = json.loads(piece.decode())
        except (ValueError, RecursionError):
            return False, None
        budget.take(len(piece) + 64 * (2 + piece.count(b",") + piece.count(b"[")))
        self._at = end
        return True, value

    def _object(self, depth: int) -> dict[str, Any]:
        self._enter(depth)
        found: dict[str, Any] = {}
        if self._closes(b"}"):
            return found
        while True:
            self._pairs(found)
            key = self._key()
            found[key] = self._value(depth)
            budget.take(80)
            if self._ends(b"}"):
                return found

    def _pairs(self, found: dict[str, Any]) -> None:
        """Read members with short plain texts, of which a large index has hundreds of thousands.

        The last member is not read here, because the pattern wants another one to follow.
        """
        match = _PAIR.match(self._data, self._at)
        while match:
            key = match[1].decode()
            found[key] = self._shared(match[2].decode())
            budget.take(140 + len(key))
            self._at = match.end()
            self._values += 1
            if self._values % _EVERY == 0:
                budget.check()
            match = _PAIR.match(self._data, self._at)

    def _list(self, depth: int) -> list[Any]:
        self._enter(depth)
        found: list[Any] = []
        if self._closes(b"]"):
            return found
        while True:
            found.append(self._value(depth))
            budget.take(48)
            if self._ends(b"]"):
                return found

    def _enter(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        self._at += 1
        self._skip(_SPACE)
        budget.take(64)

    def _closes(self, mark: bytes) -> bool:
        """Whether the container is empty."""
        if not self._data.startswith(mark, self._at):
            return False
        self._at += 1
        return True

    def _ends(self, mark: bytes) -> bool:
        """Whether the container ends here; else another value must follow."""
        found = self._match(_AFTER)[1]
        if found not in (b",", mark):
            raise ValueError("a bracket that does not fit")
        return bool(found == mark)

    def _key(self) -> str:
        match = _KEY.match(self._data, self._at)
        if match and match.end() - match.start() < _LONGEST_TEXT:
            self._at = match.end()
            return self._shared(match[1].decode())
        self._skip(_SPACE)
        if not self._data.startswith(b'"', self._at):
            raise ValueError("a name is missing")
        key = self._text()
        self._match(_COLON)
        return key

    def _text(self) -> str:
        match = _TEXT.match(self._data, self._at)
        if match and match.end() - match.start() < _LONGEST_TEXT:
            self._at = match.end()
            return self._shared(match[1].decode())
        start = self._at + 1
        end = self._closing_quote(start)
        if end - start > _LONGEST_TEXT:
            raise ValueError("a text that is far too long")
        piece = self._data[start : end + 1].decode()
        self._at = end + 1
        budget.take(len(piece))
        text: str = scanstring(piece, 0, True)[0]
        return text

    def _closing_quote(self, start: int) -> int:
        """Position of the quote that ends a text: an even number of backslashes precedes it."""
        end = start
        while (end := self._data.find(b'"', end)) >= 0:
            before = end
            while before > start and self._data[before - 1] == ord("\\"):
                before -= 1
            if (end - before) % 2 == 0:
                return end
            end += 1
        raise ValueError("a text without an end")

    def _shared(self, text: str) -> str:
        """One shared object for a short text that repeats."""
        if len(text) > _REPEATED:
            budget.take(60 + len(text))
            return text
        known = self._texts.setdefault(text, text)
        if known is text:
            budget.take(130 + len(text))
        return known

    def _scalar(self) -> Any:
        value = json.loads(self._match(_SCALAR)[0])
        budget.take(32)
        return value

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        match = pattern.match(self._data, self._at)
        if match is None:
            raise ValueError("no JSON")
        self._at = match.end()
        return match

    def _skip(self, pattern: re.Pattern[bytes]) -> None:
        self._match(pattern)
