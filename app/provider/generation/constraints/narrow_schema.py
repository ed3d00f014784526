"""Narrows schemas so that answers of small models end. What matches still matches the schema.

Objects with properties have no others unless the schema allows them. Numbers have at most nine
decimals and no exponent, and are no larger than what every reader of JSON reads exactly, unless the
schema bounds them itself: small models write digits and members without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.provider.generation.constraints.schema_limits import nodes

_COMBINED = ("allOf", "anyOf", "oneOf", "$ref", "patternProperties", "unevaluatedProperties")
_LARGEST = 2**53 - 1
_SMALLEST = 1e-9
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def narrowed(schema: Any) -> Any:
    """The narrower schema; one that puts objects together of parts stays as it is."""
    parts = [node for node, _ in nodes(schema) if isinstance(node, dict)]
    joins = any("allOf" in one or ("$ref" in one and "properties" in one) for one in parts)
    return schema if joins else _narrowed(schema)


def _narrowed(node: Any) -> Any:
    if isinstance(node, list):
        return [_narrowed(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: value if key in {"enum", "const", "default", "examples"} else _narrowed(value)
        for key, value in node.items()
    }
    if isinstance(found.get("properties"), dict) and found.keys().isdisjoint(_COMBINED):
        found.setdefault("additionalProperties", False)
    return found | dict(_number_bounds(found))


def _number_bounds(node: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Keywords that bound the digits of a number."""
    named = node.get("type")
    kinds = {*map(str, named if isinstance(named, list) else [named])}
    given = [node[key] for key in _BOUNDS if key in node]
    plain = all(isinstance(one, int | float) and abs(one) < _LARGEST for one in given)
    if not (plain and kinds & {"integer", "number"}) or node.keys() & {"enum", "const"}:
        return
    if not node.keys() & {"minimum", "exclusiveMinimum"}:
        yield "minimum", -_LARGEST
    if not node.keys() & {"maximum", "exclusiveMaximum"}:
        yield "maximum", _LARGEST
    if "number" in kinds and "multipleOf" not in node and not any(0 < abs(b) < 1e-6 for b in given):
        yield "multipleOf", _SMALLEST
