"""Spells calls as the table of formats says: what a grammar made of it lets a model write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.provider.formats.call_syntax import CallSyntax

Call = tuple[str, Mapping[str, Any]]


def spelled(syntax: CallSyntax, calls: Sequence[Call]) -> str:
    """The calls, and nothing else."""
    each = [syntax.call_open + _call(syntax, *call) + syntax.call_close for call in calls]
    return syntax.section_open + syntax.separator.join(each) + syntax.section_close


def _call(syntax: CallSyntax, name: str, arguments: Mapping[str, Any]) -> str:
    match syntax.kind:
        case "json":
            return _json({syntax.name_key: name, syntax.arguments_key: arguments})
        case "named_json":
            return name + syntax.after_name + _json(arguments)
        case "markup":
            values = (_parameter(syntax, key, value) for key, value in arguments.items())
            return name + syntax.after_name + "".join(values)
        case "pythonic":
            return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
        case "braces":
            return name + _braces(syntax.quote, arguments)


def _parameter(syntax: CallSyntax, key: str, value: Any) -> str:
    assert syntax.parameter
    before_key, before_value, after_value = syntax.parameter
    shown = value if isinstance(value, str) else _json(value)
    return before_key + key + before_value + shown + after_value


def _braces(quote: str, value: Any) -> str:
    if isinstance(value, str):
        return quote + value + quote
    if isinstance(value, list):
        return "[" + ",".join(_braces(quote, item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_braces(quote, one)}" for key, one in value.items()) + "}"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
