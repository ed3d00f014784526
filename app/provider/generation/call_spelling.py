"""Tool calls of earlier answers, spelled as the model's family spells them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.provider.errors import UnsupportedInput
from app.provider.formats.call_syntax import CallSyntax
from app.provider.generation.json_values import json_object, map_strings
from app.provider.types import ToolCallPart

Escape = Callable[[str], str]


def spelled_calls(
    calls: Sequence[ToolCallPart], syntax: CallSyntax, escape: Escape = lambda text: text
) -> str:
    """The calls of one answer.

    Raises UnsupportedInput where arguments are no JSON object and cannot be spelled for that.

    ``escape`` is for texts of the calls; the markers of the format stay tokens.
    """
    spelled = [
        f"{syntax.call_open}{_call(call, syntax, escape)}{syntax.call_close}" for call in calls
    ]
    return syntax.section_open + syntax.separator.join(spelled) + syntax.section_close


def _call(call: ToolCallPart, syntax: CallSyntax, escape: Escape) -> str:
    name = escape(call.name)
    try:
        value = json_object(call.arguments, f"The arguments of a call of {call.name!r}")
    except UnsupportedInput:
        if syntax.kind == "json":
            return _broken(name, escape(call.arguments), syntax)
        raise
    arguments = map_strings(value, escape)
    match syntax.kind:
        case "json":
            return _json({syntax.name_key: name, syntax.arguments_key: arguments})
        case "named_json":
            return f"{name}{syntax.after_name}{_json(arguments)}"
        case "pythonic":
            given = (f"{key}={_python(one)}" for key, one in arguments.items())
            return f"{name}({', '.join(given)})"
        case "markup":
            return f"{name}{syntax.after_name}{_markup(arguments, syntax)}"
        case "braces":
            return name + _braces(arguments, syntax.quote)


def _broken(name: str, arguments: str, syntax: CallSyntax) -> str:
    """A call whose arguments are no JSON: they stand as they are."""
    return (
        f"{{{_json(syntax.name_key)}: {_json(name)}, {_json(syntax.arguments_key)}: {arguments}}}"
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _python(value: Any) -> str:
    """A Python literal, with texts as JSON quotes them."""
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_json(key)}: {_python(one)}' for key, one in value.items())}}}"
    return _json(value) if isinstance(value, str) else repr(value)


def _markup(arguments: Mapping[str, Any], syntax: CallSyntax) -> str:
    if syntax.parameter is None:
        return _json(arguments)
    around = syntax.parameter
    return "".join(
        f"{around.before_key}{key}{around.before_value}"
        f"{one if isinstance(one, str) else _json(one)}{around.after_value}"
        for key, one in arguments.items()
    )


def _braces(value: Any, quote: str) -> str:
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_braces(one, quote)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(_braces(one, quote) for one in value)}]"
    return f"{quote}{value}{quote}" if isinstance(value, str) else _json(value)
