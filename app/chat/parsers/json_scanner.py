"""Follows one JSON value while it is written."""

from __future__ import annotations

import json
import re
from typing import Literal

_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_PART_OF_NUMBER = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?(?:(?<=\d)[eE][+-]?\d*)?)?", re.ASCII)
_WORDS = ("true", "false", "null")
_SCALAR = frozenset("+-.0123456789Eaeflnrstu")
_WHITE_SPACE = " \t\n\r"
_ESCAPES = '"\\/bfnrt'
_HEX = frozenset("0123456789abcdefABCDEF")

State = Literal[
    "value", "first value", "key", "first key", "colon", "after", "string", "escape", "scalar"
]


class JsonScanner:
    """Accepts characters as long as they are the beginning of a JSON value.

    Control characters in strings, which JSON forbids, come out escaped. ``done`` is set after the
    last character of the value (before the first one after a number), ``broken`` before the first
    character that cannot be part of it.
    """

    def __init__(self) -> None:
        self._open: list[Literal["}", "]"]] = []
        self._state: State = "value"
        self._is_key = False
        self._scalar = ""
        self._hex_digits = 0
        self.done = False
        self.broken = False

    def feed(self, text: str, at: int = 0) -> tuple[int, str]:
        """Follow the text from ``at``; return where it stopped, and the characters as JSON."""
        accepted: list[str] = []
        while at < len(text) and not self.done and not self.broken:
            length, output = self._accept(text, at)
            accepted.append(output)
            at += length
        return at, "".join(accepted)

    def _accept(self, text: str, at: int) -> tuple[int, str]:
        """Accept the next characters: how many, and what they are in JSON."""
        if self._state == "string":
            return self._string(text, at)
        character = text[at]
        if self._state == "scalar" and character not in _SCALAR:
            self._end_scalar()
            return 0, ""
        if self._state not in {"escape", "scalar"} and character in _WHITE_SPACE:
            return 1, character
        self.broken = not self._follows(character)
        return (0, "") if self.broken else (1, character)

    def _string(self, text: str, at: int) -> tuple[int, str]:
        if plain := _PLAIN.match(text, at):
            return plain.end() - at, plain.group()
        character = text[at]
        if character == '"':
            self._end_string()
        elif character == "\\":
            self._state = "escape"
        else:
            return 1, json.dumps(character)[1:-1]
        return 1, character

    def _follows(self, character: str) -> bool:
        """Go on to the next state; False where the character is none of JSON."""
        match self._state:
            case "escape":
                return self._escaped(character)
            case "scalar":
                return self._begin_scalar(self._scalar + character)
            case "first value" | "value":
                closes = self._state == "first value" and character == "]"
                return self._close(character) if closes else self._begin(character)
            case "first key" | "key":
                closes = self._state == "first key" and character == "}"
                return self._close(character) if closes else self._begin_key(character)
            case "colon":
                self._state = "value"
                return character == ":"
            case _:
                return self._continue(character)

    def _escaped(self, character: str) -> bool:
        if self._hex_digits:
            self._hex_digits -= 1
            self._state = "escape" if self._hex_digits else "string"
            return character in _HEX
        if character == "u":
            self._hex_digits = 4
            return True
        self._state = "string"
        return character in _ESCAPES

    def _begin(self, character: str) -> bool:
        """The first character of a value."""
        if character == "{":
            self._open.append("}")
            self._state = "first key"
        elif character == "[":
            self._open.append("]")
            self._state = "first value"
        elif character == '"':
            self._state, self._is_key = "string", False
        else:
            return self._begin_scalar(character)
        return True

    def _begin_key(self, character: str) -> bool:
        self._state, self._is_key = "string", True
        return character == '"'

    def _begin_scalar(self, text: str) -> bool:
        self._state, self._scalar = "scalar", text
        word = any(word.startswith(text) for word in _WORDS)
        return word or _PART_OF_NUMBER.fullmatch(text) is not None

    def _end_scalar(self) -> None:
        self.broken = self._scalar not in _WORDS and not _NUMBER.fullmatch(self._scalar)
        self._end_value()

    def _end_string(self) -> None:
        if self._is_key:
            self._state = "colon"
        else:
            self._end_value()

    def _end_value(self) -> None:
        self._state = "after"
        self.done = not self._open and not self.broken

    def _continue(self, character: str) -> bool:
        """What may follow a value inside an object or a list."""
        if character != ",":
            return self._close(character)
        self._state = "key" if self._open[-1] == "}" else "value"
        return True

    def _close(self, character: str) -> bool:
        if character != self._open[-1]:
            return False
        self._open.pop()
        self._end_value()
        return True
