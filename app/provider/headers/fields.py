"""Takes from a file's metadata only what makes sense: any key may hold any value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LARGEST = 2**53
"""Larger counts are nonsense, and no JSON number."""

_LONGEST_TEXT = 200
_LONGEST_TEMPLATE = 2**16


def number(facts: Mapping[str, Any], *keys: str) -> int:
    """The first of these that is a sensible count; 0 if none is."""
    for key in keys:
        value = facts.get(key)
        if type(value) is int and 0 < value < _LARGEST:
            return value
    return 0


def sensible(value: int) -> int:
    """A count that was computed from metadata; 0 if it cannot be one."""
    return value if 0 < value < _LARGEST else 0


def unicode(value: str) -> str:
    """The text without halves of surrogate pairs, which JSON can name and no answer can hold."""
    return value.encode("utf-8", "replace").decode()


def text(facts: Mapping[str, Any], key: str) -> str:
    """A short text; empty if it is none."""
    value = facts.get(key)
    return unicode(value[:_LONGEST_TEXT]) if isinstance(value, str) else ""


def template(value: object) -> str:
    """A chat template, cut where no honest one ends; empty if it is none."""
    return unicode(value[:_LONGEST_TEMPLATE]) if isinstance(value, str) else ""


def is_too_long(value: object) -> bool:
    """Whether a chat template is longer than any honest one."""
    return isinstance(value, str) and len(value) > _LONGEST_TEMPLATE


TEMPLATE_TOO_LONG = (
    f"Its chat template has more than {_LONGEST_TEMPLATE:,} letters, as no honest one has: "
    "take the model from its maker's page."
)


def section(facts: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The first of these that is an object with content; empty if none is."""
    for key in keys:
        value = facts.get(key)
        if isinstance(value, dict) and value:
            return value
    return {}


def texts(facts: Mapping[str, Any], key: str) -> list[str]:
    """The texts of a list; empty if it is none."""
    value = facts.get(key)
    items = value if isinstance(value, list) else []
    return [unicode(item) for item in items if isinstance(item, str)]
