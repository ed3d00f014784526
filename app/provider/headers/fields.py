"""Reads fields of a file's metadata with checks, because any key may hold any value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LARGEST = 2**53
"""Larger counts make no sense and are no JSON numbers."""

_LONGEST_TEXT = 200
_LONGEST_TEMPLATE = 2**16


def number(fields: Mapping[str, Any], *keys: str) -> int:
    """The first of these keys with a plausible count; 0 if there is none."""
    for key in keys:
        value = fields.get(key)
        if type(value) is int and 0 < value < _LARGEST:
            return value
    return 0


def sensible(value: int) -> int:
    """A count that was computed from metadata; 0 if it is implausible."""
    return value if 0 < value < _LARGEST else 0


def unicode(value: str) -> str:
    """The text without halves of surrogate pairs, which JSON can escape but no reply can hold."""
    return value.encode("utf-8", "replace").decode()


def real(fields: Mapping[str, Any], key: str) -> float | None:
    """A finite number; None if the value is none."""
    return finite(fields.get(key))


def finite(value: object) -> float | None:
    """A value of JSON as a finite number; None if it is none, or far too large to be meant."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def text(fields: Mapping[str, Any], key: str) -> str:
    """A short text; empty if the value is no text."""
    value = fields.get(key)
    return unicode(value[:_LONGEST_TEXT]) if isinstance(value, str) else ""


def template(value: object) -> str:
    """A chat template, cut at a length that no real one has; empty if the value is no text."""
    return unicode(value[:_LONGEST_TEMPLATE]) if isinstance(value, str) else ""


def is_too_long(value: object) -> bool:
    """Whether a chat template is longer than any real one."""
    return isinstance(value, str) and len(value) > _LONGEST_TEMPLATE


TEMPLATE_TOO_LONG = (
    f"Its chat template has more than {_LONGEST_TEMPLATE:,} letters, as no honest one has: "
    "take the model from its maker's page."
)


def section(fields: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The first of these keys with a non-empty object; empty if there is none."""
    for key in keys:
        value = fields.get(key)
        if isinstance(value, dict) and value:
            return value
    return {}


def texts(fields: Mapping[str, Any], key: str) -> list[str]:
    """The texts of a list; empty if the value is no list."""
    value = fields.get(key)
    items = value if isinstance(value, list) else []
    return [unicode(item) for item in items if isinstance(item, str)]
