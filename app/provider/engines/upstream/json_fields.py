"""Fields of a stranger's JSON: with the type that they should have, or none."""

from __future__ import annotations

from typing import Any, TypeGuard

Fields = dict[str, Any]
"""A JSON object."""

_MOST = 2**53
"""Numbers from here on are not exact in every program, and may be longer than a message takes."""


def is_count(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number that counts something."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def count_of(fields: Any, name: str) -> int | None:
    """The whole number of that name; None where there is none."""
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if is_count(value) else None


def text_of(fields: Any, name: str) -> str:
    """The text of that name, or an empty one.

    Without half of a surrogate pair, which no reply can hold.
    """
    value = fields.get(name) if isinstance(fields, dict) else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def section_of(fields: Any, name: str) -> Fields:
    """The object of that name, or an empty one."""
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, dict) else {}


def byte_values(value: Any) -> bytes | None:
    """The bytes that a list of numbers stands for; None for any other value."""
    known = isinstance(value, list) and all(is_count(one) and one < 256 for one in value)
    return bytes(value) if known else None
