"""Narrows schemas so that answers of small models end. What matches still matches the schema.

Objects with properties have no others unless the schema allows them. Numbers have at most nine
decimals and no exponent, and are no larger than what every reader of JSON reads exactly, unless the
schema bounds them itself. Dates are days that exist, addresses of mail are short.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.provider.generation.constraints.schema_limits import nodes

_COMBINED = ("allOf", "anyOf", "oneOf", "$ref", "patternProperties", "unevaluatedProperties")
_LARGEST = 2**53 - 1
_SMALLEST = 1e-9
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

_LEAP = "[0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00"
_DATE = (
    "([0-9]{4}-(0[13-9]|1[0-2])-(0[1-9]|[12][0-9]|30)|[0-9]{4}-(0[13578]|1[02])-31"
    f"|[0-9]{{4}}-02-(0[1-9]|1[0-9]|2[0-8])|({_LEAP})-02-29)"
)
_HOURS = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = f"{_HOURS}:[0-5][0-9](\\.[0-9]{{1,6}})?(Z|[+-]{_HOURS})"
_WORD = "[A-Za-z0-9]{1,16}"
_PATTERNS = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "email": f"^{_WORD}([._-]{_WORD}){{0,2}}@{_WORD}(-{_WORD})?(\\.[A-Za-z]{{2,8}}){{1,2}}$",
}


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
    return _with_pattern(found) | dict(_number_bounds(found))


def _with_pattern(node: dict[str, Any]) -> dict[str, Any]:
    """The exact pattern of a format, where the library lets a little too much through."""
    pattern = _PATTERNS.get(str(node.get("format")))
    if pattern is None or node.get("type") != "string" or "pattern" in node:
        return node
    return {key: value for key, value in node.items() if key != "format"} | {"pattern": pattern}


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
