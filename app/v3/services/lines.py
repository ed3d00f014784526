"""Where in a JSON text a value stands, so that a mistake can be shown with its line."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()

Place = tuple[int, int]
"""Where a member begins (its key, in an object) and where its value does."""


def line_of(text: str, path: Sequence[object]) -> int:
    """The line of what ``path`` leads to; of what encloses it, where that is missing."""
    shown = value = _skip(text, 0)
    for step in path:
        shown, value = dict(_members(text, value)).get(step, (shown, value))
    return text.count("\n", 0, shown) + 1


def repeated_key(text: str) -> list[object] | None:
    """The path of the first key that stands twice in one object, if there is one."""
    return _repeated(text, _skip(text, 0))


def _repeated(text: str, at: int) -> list[object] | None:
    seen = set()
    for name, (_, value) in _members(text, at):
        if name in seen:
            return [name]
        seen.add(name)
        if inner := _repeated(text, value):
            return [name, *inner]
    return None


def _members(text: str, at: int) -> Iterator[tuple[object, Place]]:
    """Every member of the object or list at ``at`` of a text that is valid JSON."""
    if text[at] not in "{[":
        return
    in_object = text[at] == "{"
    for index in itertools.count():
        at = begin = _skip(text, at + 1)
        if text[at] in "}]":
            return
        name: object = index
        if in_object:
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        yield name, (begin, at)
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] in "}]":
            return


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
