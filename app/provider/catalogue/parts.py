"""Models that are split into several files: ``name-00001-of-00003.gguf`` and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST = 1000
"""No model has more parts; larger numbers are only part of a name."""

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.\w+)", re.DOTALL)


def group(name: str) -> tuple[str, int, str] | None:
    """What the names of all parts of a model share; None for a whole file."""
    match = _matched(name)
    return (match[1], int(match[3]), match[4]) if match else None


def parts(name: str) -> list[str]:
    """The names of all parts of the model that ``name`` is part of; itself for a whole file."""
    match = _matched(name)
    if match is None:
        return [name]
    stem, _, total, suffix = match.groups()
    return [f"{stem}-{index:05d}-of-{total}{suffix}" for index in range(1, int(total) + 1)]


def _matched(name: str) -> re.Match[str] | None:
    match = _PART.fullmatch(name)
    return match if match and 0 < int(match[2]) <= int(match[3]) <= _MOST else None


def missing(names: Iterable[str]) -> str | None:
    """Name a part that is missing from ``names`` although another part of its model is there."""
    there = set(names)
    first_of_each = {group(name): name for name in there if group(name)}
    for name in first_of_each.values():
        for part in parts(name):
            if part not in there:
                return part
    return None
