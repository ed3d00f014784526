"""Reads a call whose arguments stand in braces with bare keys, as Gemma's do."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any

from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Arguments, Piece, ReadResult

_HEADER = re.compile(r"\s*(?:call)?\s*:?\s*([\w.\-]+)\s*")
_BARE = re.compile(r"[^,{}\[\]]+")
LONGEST_HEADER = 256
DEEPEST = 64
"""Braces and brackets inside each other: more than a call has."""


class BracesCall:
    """Reads ``call:f{key:value,…}``; the call begins when it is whole.

    ``quote`` stands around strings.
    """

    def __init__(self, tools: OfferedTools, quote: str) -> None:
        self._tools = tools
        self._quote = quote
        self._name = ""
        self._text = ""
        self._at = 0
        self._depth = 0
        self._quoted = False

    def read(self, text: str) -> ReadResult:
        """Read on."""
        begin = 0
        if not self._name:
            before, brace, _ = text.partition("{")
            if not brace and len(text) <= LONGEST_HEADER:
                return ReadResult(0, [], "more")
            header = _HEADER.fullmatch(before)
            if not header or not self._tools.offers(header[1]):
                return ReadResult(len(before), [], "failed")
            self._name, begin = header[1], len(before)
        self._text += text[begin:]
        while self._at < len(self._text) and self._follow():
            if not self._depth:
                return self._whole(len(text) - len(self._text) + self._at)
        return ReadResult(len(text), [], "more")

    def _follow(self) -> bool:
        """Note where strings and braces begin and end; False where half a quote may stand."""
        if self._text.startswith(self._quote, self._at):
            self._quoted = not self._quoted
            self._at += len(self._quote)
            return True
        if self._quote.startswith(self._text[self._at :]):
            return False
        if not self._quoted:
            character = self._text[self._at]
            self._depth += (character in "{[") - (character in "}]")
        self._at += 1
        return True

    def _whole(self, length: int) -> ReadResult:
        value = _Values(self._text[: self._at], self._quote).read()
        if value is None:
            return ReadResult(length, [], "failed")
        pieces: list[Piece] = [self._tools.start(self._name), Arguments(value)]
        return ReadResult(length, pieces, "done")

    def finish(self, text: str, *, cut: bool) -> list[Piece]:
        """A call begins only when it is whole."""
        return []


class _Values:
    """Turns the braces into JSON."""

    def __init__(self, text: str, quote: str) -> None:
        self._text = text
        self._quote = quote
        self._at = 0

    def read(self) -> str | None:
        """The object as JSON; None where it is none."""
        try:
            return json.dumps(self._object(1), ensure_ascii=False)
        except ValueError:
            return None

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._take("{")
        while not self._takes("}"):
            key = self._string() if self._quoted() else self._until_colon()
            self._take(":")
            found[key] = self._value(depth)
            if not self._takes(","):
                self._take("}")
                break
        return found

    def _list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self._take("[")
        while not self._takes("]"):
            found.append(self._value(depth))
            if not self._takes(","):
                self._take("]")
                break
        return found

    def _value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("too deep")
        self._skip()
        if self._quoted():
            return self._string()
        match self._text[self._at : self._at + 1]:
            case "{":
                return self._object(depth + 1)
            case "[":
                return self._list(depth + 1)
            case _:
                return self._bare()

    def _string(self) -> str:
        begin = self._at + len(self._quote)
        end = self._text.index(self._quote, begin)
        self._at = end + len(self._quote)
        return self._text[begin:end]

    def _bare(self) -> Any:
        """A number or a word of JSON; any other text is a string without quotes."""
        match = _BARE.match(self._text, self._at)
        if not match:
            raise ValueError("no value")
        self._at = match.end()
        text = match.group().strip()
        try:
            return json.loads(text, parse_constant=str, parse_float=_finite)
        except ValueError:
            return text

    def _until_colon(self) -> str:
        end = self._text.index(":", self._at)
        key, self._at = self._text[self._at : end], end
        return key.strip()

    def _quoted(self) -> bool:
        self._skip()
        return self._text.startswith(self._quote, self._at)

    def _skip(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1

    def _takes(self, mark: str) -> bool:
        self._skip()
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def _take(self, mark: str) -> None:
        if not self._takes(mark):
            raise ValueError(f"no {mark}")


def _finite(text: str) -> float:
    """A number that JSON's readers can take: the largest in place of an infinite one."""
    number = float(text)
    return math.copysign(sys.float_info.max, number) if math.isinf(number) else number
