"""The filters of chat templates: Jinja's, each paid for before it makes anything.

Left out, because no chat template has a use for them and their cost is hard to tell: pprint,
random, striptags, urlencode, urlize, wordcount, xmlattr.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from functools import wraps
from typing import Any

from jinja2 import Environment
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, make_attrgetter, sync_do_slice
from jinja2.runtime import Context
from jinja2.tests import TESTS
from jinja2.utils import pass_context, pass_environment
from markupsafe import Markup, escape

from app.provider.generation.jinja_dialect import to_json
from app.provider.generation.jinja_methods import (
    formatted,
    gaps,
    operate,
    replaced,
    search,
)
from app.provider.generation.jinja_values import (
    OBJECT,
    allowance,
    combined,
    growth,
    joined,
    listed,
    made,
    text,
)

_MOST_ROWS = 100_000
"""As many as the sandbox allows a range."""
_LONGEST_WRAPPED = 100_000
"""Characters; wrapping searches by regular expressions."""
_MOST_DIGITS = 300
"""Before and after the point; no number has more."""
_MARKUP = Markup()
_TITLED = 64
"""Bytes for a letter where a list of the words is made."""


def _subject(value: Any) -> Any:
    """A value as text that a filter works on; the result may be three times as long."""
    subject = value if isinstance(value, str) else text(value)
    allowance.spend(growth(subject) * (1 if subject.isascii() else 3))
    return subject


def _changed(name: str) -> Callable[[Any], Any]:
    return lambda value: FILTERS[name](_subject(value))


def _title(value: Any) -> Any:
    subject = _subject(value)
    allowance.spend(_TITLED * len(subject))
    return FILTERS["title"](subject)


def _trim(value: Any, chars: str | None = None) -> Any:
    subject = _subject(value)
    search(subject, chars)
    return FILTERS["trim"](subject, chars)


def _escape(value: Any) -> Markup:
    subject = _subject(value)
    allowance.spend(growth(subject, _MARKUP))
    return escape(subject)


def _force_escape(value: Any) -> Markup:
    return _escape(str(_subject(value)))


def _safe(value: Any) -> Markup:
    return Markup(_subject(value))  # noqa: S704 (no page is made of it)


def _center(value: Any, width: int = 80) -> Any:
    subject = _subject(value)
    allowance.spend(4 * max(width, 0))
    return FILTERS["center"](subject, width)


def _indent(s: str, width: int | str = 4, *args: Any, **kwargs: Any) -> Any:
    lines = gaps(_subject(s)) + 2
    step = growth(width, s[:0]) if isinstance(width, str) else max(width, 0)
    allowance.spend(2 * growth(s) + lines * (OBJECT + 4 * step))
    return FILTERS["indent"](s, width, *args, **kwargs)


@pass_environment
def _wordwrap(environment: Environment, s: str, width: int = 79, *args: Any, **kwargs: Any) -> Any:
    if len(_subject(s)) > _LONGEST_WRAPPED:
        raise SecurityError("the text to wrap is too long")
    between = [each for each in (*args, *kwargs.values()) if isinstance(each, str)]
    lines = 2 * len(s) // max(width, 1) + 2 * len(s.splitlines()) + 1
    allowance.spend(_TITLED * len(s) + lines * growth(*between))
    return FILTERS["wordwrap"](environment, s, width, *args, **kwargs)


@pass_environment
def _truncate(environment: Environment, s: str, *args: Any, **kwargs: Any) -> Any:
    ends = [each for each in (*args, *kwargs.values()) if isinstance(each, str)]
    allowance.spend(growth(_subject(s), *ends))
    return FILTERS["truncate"](environment, s, *args, **kwargs)


def _format(value: Any, *args: Any, **kwargs: Any) -> Any:
    form = _subject(value)
    allowance.spend(formatted(form, kwargs or args))
    return FILTERS["format"](form, *args, **kwargs)


def _replace(s: Any, old: Any, new: Any, count: int | None = None) -> str:
    subject, old, new = text(s), text(old), text(new)
    allowance.spend(replaced(subject, (old, new), {}))
    return subject.replace(old, new, -1 if count is None else count)


@pass_environment
def _join(environment: Environment, value: Any, d: Any = "", attribute: Any = None) -> str:
    items = map(_taking(environment, attribute), listed(value))
    return joined([text(each) for each in items], text(d))


def _taking(environment: Environment, attribute: Any) -> Callable[[Any], Any]:
    """How an attribute is looked up, along a path; without one, the value itself."""
    allowance.spend(OBJECT * len(attribute) if isinstance(attribute, str) else 0)
    return make_attrgetter(environment, attribute)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else text(value)


def _batch(value: Any, linecount: int, fill_with: Any = None) -> Any:
    if fill_with is not None and linecount > _MOST_ROWS:
        raise SecurityError("the rows are too long")
    return combined(FILTERS["batch"](listed(value), linecount, fill_with))


def _slice(value: Any, slices: int, fill_with: Any = None) -> Any:
    if slices > _MOST_ROWS:
        raise SecurityError("there are too many slices")
    return combined(sync_do_slice(listed(value), slices, fill_with))


@pass_environment
def _sum(environment: Environment, iterable: Any, attribute: Any = None, start: Any = 0) -> Any:
    if isinstance(start, str):
        raise TypeError("sum takes no text: use join")
    for item in map(_taking(environment, attribute), listed(iterable)):
        operate("+", start, item)
        start = combined(start + item)
    return start


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    return FILTERS["round"](value, max(-_MOST_DIGITS, min(precision, _MOST_DIGITS)), method)


def _rows(name: str) -> Callable[..., Any]:
    """A filter that goes through rows, and finds keys or makes others for them."""
    function = FILTERS[name]

    @wraps(function)
    def rows(*args: Any, **kwargs: Any) -> Any:
        for each in (*args, *kwargs.values()):
            if isinstance(each, str) or (isinstance(each, Sized) and name in _KEYED):
                allowance.spend(OBJECT * len(each))
        result = function(*args, **kwargs)
        return combined(result) if name in _COMBINING else result

    return rows


def guarded(function: Callable[..., Any], paid: Callable[[Any], Any]) -> Callable[..., Any]:
    """A filter whose result is paid for; as it knows the context, it never runs early."""
    takes = getattr(function, "jinja_pass_arg", None)

    @pass_context
    @wraps(function)
    def filtered(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        known = {"context": context, "eval_context": context.eval_ctx}
        first = [known.get(takes.name, context.environment)] if takes else []
        return paid(function(*first, value, *args, **kwargs))

    return filtered


_COMBINING = frozenset(["groupby", "map"])
_KEYED = frozenset(["dictsort", "groupby", "sort", "unique"])
_SELECTIONS = ("map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr")
_UNCHANGED = (
    *("abs", "attr", "count", "d", "default", "filesizeformat", "first", "float", "int", "items"),
    *("last", "length"),
)
_OWN: dict[str, Callable[..., Any]] = {
    **{name: _changed(name) for name in ("capitalize", "lower", "upper")},
    **{name: _rows(name) for name in (*_KEYED, *_SELECTIONS)},
    "batch": _batch,
    "center": _center,
    "e": _escape,
    "escape": _escape,
    "forceescape": _force_escape,
    "format": _format,
    "indent": _indent,
    "join": _join,
    "list": listed,
    "replace": _replace,
    "round": _round,
    "safe": _safe,
    "slice": _slice,
    "string": _string,
    "sum": _sum,
    "title": _title,
    "tojson": to_json,
    "trim": _trim,
    "truncate": _truncate,
    "wordwrap": _wordwrap,
}
CHAT_FILTERS = {name: guarded(FILTERS[name], made) for name in _UNCHANGED} | {
    name: guarded(function, made) for name, function in _OWN.items()
}

CHAT_TESTS: dict[str, Any] = {
    **TESTS,
    "lower": lambda value: text(value).islower(),
    "upper": lambda value: text(value).isupper(),
}
