"""Bounds of a JSON Schema, checked before any time goes into compiling it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.provider.errors import UnsupportedConstraint

MOST_DEPTH = 64
MOST_PROPERTIES = 1_000
MOST_ENUM_STRINGS = 10_000


def check_schema(schema: Any) -> None:
    """Raise UnsupportedConstraint for a schema that is too deep or too large."""
    properties = values = 0
    for node, depth in nodes(schema):
        if depth > MOST_DEPTH:
            raise UnsupportedConstraint(f"The schema is nested more than {MOST_DEPTH} levels deep.")
        properties += _length(node, "properties", dict) + _length(node, "patternProperties", dict)
        values += _length(node, "enum", list)
    if properties > MOST_PROPERTIES:
        raise UnsupportedConstraint(
            f"The schema has {properties} properties; at most {MOST_PROPERTIES} are taken."
        )
    if values > MOST_ENUM_STRINGS:
        raise UnsupportedConstraint(
            f"The schema has {values} values in enums; at most {MOST_ENUM_STRINGS} are taken."
        )


def nodes(schema: Any) -> Iterator[tuple[Any, int]]:
    """Every object and list in the schema, with its depth."""
    waiting = [(schema, 1)] if isinstance(schema, dict | list) else []
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        inside = node.values() if isinstance(node, dict) else node
        waiting += [(one, depth + 1) for one in inside if isinstance(one, dict | list)]


def _length(node: Any, key: str, kind: type[dict[Any, Any]] | type[list[Any]]) -> int:
    found = node.get(key) if isinstance(node, dict) else None
    return len(found) if isinstance(found, kind) else 0
