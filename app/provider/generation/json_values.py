"""JSON that clients send for templates: schemas and arguments of tools, variables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.provider.errors import UnsupportedInput

_DEEPEST = 64


def json_object(text: str, what: str) -> dict[str, Any]:
    """Parse a JSON object; raises UnsupportedInput, which names ``what`` it is."""
    try:
        value = json.loads(text.strip() or "{}")
    except (ValueError, RecursionError) as error:
        raise UnsupportedInput(f"{what} is not valid JSON.") from error
    if not isinstance(value, dict):
        raise UnsupportedInput(f"{what} is not a JSON object.")
    if _depth(value) > _DEEPEST:
        raise UnsupportedInput(f"{what} is nested more than {_DEEPEST} levels deep.")
    return value


def _depth(value: Any) -> int:
    """How many lists and objects stand in one another, counted up to a little over the limit."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        level = [one for each in level for one in _inner(each)]
        depth += 1
    return depth


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Apply ``change`` to every string of a JSON value, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(key): map_strings(one, change) for key, one in value.items()}
    return [map_strings(one, change) for one in value] if isinstance(value, list) else value


def leaves(value: Any) -> Iterator[str]:
    """The keys, strings and numbers of a JSON value, in order."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)
