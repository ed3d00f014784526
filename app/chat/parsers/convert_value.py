"""Turns the text of an argument into JSON, as the tool's schema wants it."""

from __future__ import annotations

import json
from typing import Any

_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def to_json(text: str, schema: Any) -> str:
    """The argument as JSON text. What its type cannot be stays a string."""
    values = schema.get("enum") if isinstance(schema, dict) else None
    if isinstance(values, list) and text in values:
        return dump_string(text)
    types = schema_types(schema)
    written = _PYTHON_WORDS.get(text.strip(), text.strip())
    is_null = written == "null" and "null" in types
    if "string" in types and not is_null and not _is_one_of(written, values):
        return dump_string(text)
    try:
        value = json.loads(written, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return dump_string(text)
    return written if not types or _kinds(value) & types else dump_string(text)


def _is_one_of(written: str, values: Any) -> bool:
    """Whether that is the JSON of a value of an enum."""
    return isinstance(values, list) and any(json.dumps(value) == written for value in values)


def dump_string(text: str) -> str:
    """A JSON string."""
    return json.dumps(text, ensure_ascii=False)


def schema_types(schema: Any) -> frozenset[str]:
    """The JSON types that a schema names; empty where it leaves that open."""
    choices = _choices(schema) or [schema]
    found = [_named_types(choice) for choice in choices]
    return frozenset[str]().union(*found) if all(found) else frozenset()


def _choices(schema: Any) -> list[Any]:
    choices = (schema.get("anyOf") or schema.get("oneOf")) if isinstance(schema, dict) else None
    return choices if isinstance(choices, list) else []


def _named_types(schema: Any) -> frozenset[str]:
    if not isinstance(schema, dict):
        return frozenset()
    if "type" in schema:
        named = schema["type"]
        return frozenset(
            one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str)
        )
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return frozenset(_TYPES[type(value)] for value in values if type(value) in _TYPES)


def _refuse(constant: str) -> Any:
    """NaN and infinities are no JSON."""
    raise ValueError(constant)


def _kinds(value: Any) -> frozenset[str]:
    """The types that a value has: 2 and 2.0 are numbers and integers."""
    kind = _TYPES[type(value)]
    whole = kind == "integer" or (kind == "number" and value % 1 == 0)
    return frozenset({"integer", "number"} if whole else {kind})
