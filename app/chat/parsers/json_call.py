"""Reads a call that is a JSON object with the tool's name and its arguments."""

from __future__ import annotations

import json
from typing import Literal

from app.chat.parsers.json_scanner import JsonScanner
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Arguments, Piece, ReadResult, ReadState

_NAME_KEYS = frozenset({"name", "function"})
_ARGUMENT_KEYS = frozenset({"arguments", "parameters"})
_OTHER_KEYS = frozenset({"id", "type", "index"})
_WHITE_SPACE = " \t\n\r"


class JsonCall:
    """Reads ``{"name": "f", "arguments": {…}}`` with its keys in any order.

    The call begins with its arguments, when the name is known. Arguments may also be that object
    as a string, null, or missing. An object with other keys is no call.
    """

    def __init__(self, tools: OfferedTools) -> None:
        self._tools = tools
        self._expects: Literal["{", "key", "colon", "value", "after"] = "{"
        self._scanner: JsonScanner | None = None
        self._key = ""
        self._value = ""
        self._name = ""
        self._arguments: str | None = None
        self._begun = False
        self._streams = False
        self._state: ReadState = "more"
        self._pieces: list[Piece] = []

    def read(self, text: str) -> ReadResult:
        """Read on."""
        at, self._pieces = 0, []
        while at < len(text) and self._state == "more":
            scanner = self._scanner
            at = self._scan(scanner, text, at) if scanner else self._punctuation(text, at)
        return ReadResult(at, self._pieces, self._state)

    def finish(self, text: str, *, cut: bool) -> list[Piece]:
        """The arguments stay as they were written."""
        return []

    def _punctuation(self, text: str, at: int) -> int:
        """Read a character between keys and values."""
        character = text[at]
        if character in _WHITE_SPACE:
            return at + 1
        match self._expects, character:
            case "{", "{":
                self._expects = "key"
            case "key", '"':
                self._scanner = JsonScanner()
                return at
            case "colon", ":":
                self._expects = "value"
            case "value", _:
                self._begin_value(character)
                return at
            case "after", ",":
                self._expects = "key"
            case "after" | "key", "}":
                self._end()
            case _:
                return self._break(at)
        return at + 1

    def _begin_value(self, first: str) -> None:
        self._scanner = JsonScanner()
        if self._key not in _ARGUMENT_KEYS or self._arguments is not None:
            return
        if first not in '{"n':
            self._state = "failed"
        elif first == "{" and self._name:
            self._begin()
            self._streams = True

    def _scan(self, scanner: JsonScanner, text: str, at: int) -> int:
        """Read on in a key or a value."""
        at, accepted = scanner.feed(text, at)
        if self._streams:
            self._pieces.append(Arguments(accepted))
        else:
            self._value += accepted
        if scanner.broken:
            return self._break(at)
        if scanner.done:
            self._scanner = None
            self._end_part()
        return at

    def _end_part(self) -> None:
        """A key or a value is whole."""
        value, self._value = self._value, ""
        if self._expects == "key":
            self._key, self._expects = json.loads(value), "colon"
            known = self._key in _NAME_KEYS | _ARGUMENT_KEYS | _OTHER_KEYS
            self._state = "more" if known or self._begun else "failed"
            return
        self._expects = "after"
        if self._streams:
            self._streams, self._arguments = False, ""
        elif not self._begun:
            self._keep(value)

    def _keep(self, value: str) -> None:
        """Keep a name, or arguments that came before the name or as a string."""
        if self._key in _NAME_KEYS and not self._name:
            name = json.loads(value)
            if not isinstance(name, str) or not self._tools.offers(name):
                self._state = "failed"
            else:
                self._name = name
        elif self._key in _ARGUMENT_KEYS and self._arguments is None:
            self._arguments = _object_text(value)
            if self._arguments is None:
                self._state = "failed"
        if self._name and self._arguments is not None and self._state == "more":
            self._begin()
            self._pieces.append(Arguments(self._arguments))

    def _begin(self) -> None:
        self._begun = True
        self._pieces.append(self._tools.start(self._name))

    def _end(self) -> None:
        """The object ends; without arguments the call has none."""
        if self._name and not self._begun:
            self._begin()
            self._pieces.append(Arguments("{}"))
        self._state = "done" if self._begun else "failed"

    def _break(self, at: int) -> int:
        """Something is no JSON. Behind the arguments that does not matter."""
        self._state = "done" if self._begun and self._arguments is not None else "failed"
        return at


def _object_text(value: str) -> str | None:
    """A JSON object that was written as an object, as a string or as null; None for others."""
    if value.startswith("{"):
        return value
    try:
        text = "{}" if value == "null" else json.loads(value)
        return text if isinstance(json.loads(text), dict) else None
    except (ValueError, RecursionError):
        return None
