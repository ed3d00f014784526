"""The filters of prompt templates, and the allowance for text and lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import jinja2.filters
from jinja2 import Environment, StrictUndefined
from jinja2.exceptions import SecurityError
from jinja2.utils import pass_environment

from app.provider.generation.jinja_filters import guarded
from app.provider.generation.jinja_limits import Allowance, limited

_ITEM_COST = 8
"""The cost of a list item in characters: a text of one letter takes up to 88 bytes there."""
_MAX_STRIP_COMPARISONS = 2**24
"""Stripping compares each character with each one to strip; this many pairs take 20 ms."""

allowance = Allowance()
"""The allowance, in characters, of the template that renders in this thread."""


def charge_result(result: Any) -> Any:
    """Charge for the result of a filter or a method, and return it."""
    if isinstance(result, list):
        allowance.spend(_ITEM_COST * len(result))
    elif isinstance(result, Sized) and not isinstance(result, range):
        allowance.spend(len(result))
    return result


def _charge_items(values: Iterable[Any]) -> Iterator[Any]:
    """Charge for each item before it goes into a list."""
    for value in values:
        allowance.spend(_ITEM_COST)
        yield value


def check_strip(text: str, characters: Any) -> None:
    """Raise SecurityError for a strip that would take too long."""
    if isinstance(characters, str) and len(text) * len(characters) > _MAX_STRIP_COMPARISONS:
        raise SecurityError("there are too many characters to strip")


def as_text(value: Any) -> str:
    """Write a value as ``{{ value }}`` prints it."""
    if isinstance(value, str | int | float):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, StrictUndefined):
        return str(value)  # raises, and names what is undefined
    raise SecurityError(f"a {type(value).__name__} is not text: use the filter join or tojson")


def join_texts(pieces: list[str], separator: str = "") -> str:
    """Join texts, after charging for the result."""
    allowance.spend(sum(map(len, pieces)) + len(separator) * len(pieces))
    return separator.join(pieces)


def _join(values: Iterable[Any], separator: str = "") -> str:
    return join_texts([as_text(value) for value in _charge_items(values)], str(separator))


def _replace(text: Any, old: str, new: str) -> str:
    text, old, new = as_text(text), str(old), str(new)
    allowance.spend(text.count(old) * len(new))
    replaced: str = text.replace(old, new)
    return replaced


def _int(value: Any, default: int = 0) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _round(value: float, digits: int = 0) -> float:
    return round(float(value), max(-15, min(digits, 15)))


def _trim(value: Any, characters: str | None = None) -> str:
    text = str(value)
    check_strip(text, characters)
    return text.strip(characters)


def _json(value: Any) -> str:
    """Encode piece by piece, so that the allowance and the watchdog can end it."""
    pieces = json.JSONEncoder(ensure_ascii=False).iterencode(value)
    return "".join(limited(pieces, max(allowance.left, 0)))


def _list(values: Iterable[Any]) -> list[Any]:
    return list(_charge_items(values))


def _list_filter(name: str) -> Callable[..., Any]:
    """Jinja's filter of this name, with a charge for each item of the list that it makes."""
    function = jinja2.filters.FILTERS[name]

    @pass_environment
    def listing(environment: Environment, value: Any, *args: Any, **kwargs: Any) -> Any:
        return function(environment, _charge_items(value), *args, **kwargs)

    return listing


def _already_charged(result: Any) -> Any:
    # These filters charge for each item while they make the list.
    return result


_UNCHANGED = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "last", "length"),
    *("lower", "max", "min", "reverse", "title", "truncate", "upper"),
)
_REWRITTEN: dict[str, Callable[..., Any]] = {
    "int": _int,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "tojson": _json,
    "trim": _trim,
}
_LIST_FILTERS = {"list": _list, "sort": _list_filter("sort"), "unique": _list_filter("unique")}
FILTERS = {
    **{name: guarded(jinja2.filters.FILTERS[name], charge_result) for name in _UNCHANGED},
    **{name: guarded(function, charge_result) for name, function in _REWRITTEN.items()},
    **{name: guarded(function, _already_charged) for name, function in _LIST_FILTERS.items()},
}
"""All filters of the language, by name."""
