"""Reads a call that is spelled as Python calls a function with literals."""

from __future__ import annotations

import ast
import json
import math
import re
import sys
import warnings
from typing import Any

from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Arguments, Piece, ReadResult

_NAME = re.compile(r"[\w.\-]{0,256}")
_WORDS = {"true": True, "false": False, "null": None}
LONGEST_CALL = 2**16
"""Characters of a call: Python's parser gets no more."""


class PythonicCall:
    """Reads ``f(a=1, b="x")``; the call begins when it is whole and all its values are literals."""

    def __init__(self, tools: OfferedTools) -> None:
        self._tools = tools
        self._call = ""
        self._name = ""
        self._depth = 0
        self._quote = ""
        self._escaped = False

    def read(self, text: str) -> ReadResult:
        """Read on."""
        at = 0
        if not self._name:
            name = _NAME.match(text)
            at = name.end() if name else 0
            if at == len(text) and at < 256:
                return ReadResult(0, [], "more")
            if text[at] != "(" or not self._tools.offers(text[:at]):
                return ReadResult(at, [], "failed")
            self._name = text[:at]
        return self._read_arguments(text, at)

    def _read_arguments(self, text: str, begin: int) -> ReadResult:
        for at in range(begin, len(text)):
            self._follow(text[at])
            if not self._depth:
                self._call += text[begin : at + 1]
                return self._whole(at + 1)
        self._call += text[begin:]
        too_long = len(self._call) > LONGEST_CALL
        return ReadResult(len(text), [], "failed" if too_long else "more")

    def _follow(self, character: str) -> None:
        """Note where strings and brackets begin and end."""
        if self._escaped:
            self._escaped = False
        elif self._quote:
            self._escaped = character == "\\"
            self._quote = "" if character == self._quote else self._quote
        elif character in "\"'":
            self._quote = character
        elif character in "([{":
            self._depth += 1
        elif character in ")]}":
            self._depth -= 1

    def _whole(self, length: int) -> ReadResult:
        arguments = _arguments(self._call)
        if arguments is None:
            return ReadResult(length, [], "failed")
        pieces: list[Piece] = [self._tools.start(self._name), Arguments(arguments)]
        return ReadResult(length, pieces, "done")

    def finish(self, text: str, *, cut: bool) -> list[Piece]:
        """A call begins only when it is whole."""
        return []


def _arguments(parenthesised: str) -> str | None:
    """The keyword arguments in parentheses as a JSON object; None for all that is no literal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = ast.parse(f"f{parenthesised}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            return None
        values = {keyword.arg: _literal(keyword.value) for keyword in call.keywords}
        return None if None in values else json.dumps(values, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _literal(node: ast.expr) -> Any:
    """The value of a literal; JSON's words count as such."""
    match node:
        case ast.Name(name) if name in _WORDS:
            return _WORDS[name]
        case ast.List(items) | ast.Tuple(items):
            return [_literal(item) for item in items]
        case ast.Dict(keys, values):
            return {_key(key): _literal(value) for key, value in zip(keys, values, strict=True)}
        case _:
            return _finite(ast.literal_eval(node))


def _finite(value: Any) -> Any:
    """A number that JSON's readers can take: the largest in place of an infinite one."""
    infinite = isinstance(value, float) and math.isinf(value)
    return math.copysign(sys.float_info.max, value) if infinite else value


def _key(node: ast.expr | None) -> str:
    key = ast.literal_eval(node) if node else None
    if not isinstance(key, str):
        raise TypeError("JSON has only strings as keys")
    return key
