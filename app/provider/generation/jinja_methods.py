"""Operators and methods of values, as chat templates use them, and what each costs.

What is not listed here does not exist for a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from jinja2 import Environment, Undefined
from jinja2.exceptions import SecurityError
from jinja2.filters import _GroupTuple
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import SandboxedFormatter
from jinja2.utils import Cycler, Namespace
from markupsafe import Markup

from app.provider.generation.jinja_values import (
    CELL,
    LARGEST,
    OBJECT,
    allowance,
    growth,
    listed,
    price,
    text,
    weigh,
)

_NUMBER_TEXT = 400
"""Characters of the largest number, written out."""
_QUOTED = 10
"""Characters that one can become in ``%r``."""
_SEARCH = 2**28
"""Comparisons that one search may need; a third of a second."""
_DIGITS = re.compile(r"\d+")
_SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace()]

Price = Callable[[str, tuple[Any, ...], Mapping[str, Any]], int]


def operate(operator: str, left: Any, right: Any) -> None:
    """Pay for what an operator is about to make."""
    sequence = str | list | tuple
    if operator == "+" and isinstance(left, sequence) and isinstance(right, sequence):
        allowance.spend(_sequence(left) + _sequence(right, left))
    elif operator == "*" and isinstance(left, int | sequence) and isinstance(right, int | sequence):
        _repeat(left, right)
    elif operator == "%" and isinstance(left, str):
        allowance.spend(formatted(left, right))
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        if left.bit_length() * max(right, 0) > 2 * LARGEST.bit_length():
            raise SecurityError("the number is too large")


def _sequence(value: str | list[Any] | tuple[Any, ...], beside: Any = "") -> int:
    if isinstance(value, str):
        return growth(value, beside) if isinstance(beside, str) else price(value)
    return OBJECT + CELL * len(value)


def _repeat(left: Any, right: Any) -> None:
    value, times = (right, left) if isinstance(left, int) else (left, right)
    if isinstance(times, int) and not isinstance(value, int):
        allowance.spend(_sequence(value) * max(times, 0))


def formatted(form: str, values: Any) -> int:
    """Bytes of ``form % values``, at most: every place as wide as the widest."""
    arguments = list(values.values()) if isinstance(values, dict) else values
    arguments = arguments if isinstance(arguments, list | tuple) else [values]
    widths = [abs(each) for each in arguments if isinstance(each, int)]
    widths += map(int, _DIGITS.findall(form))
    longest = max((growth(text(each)) for each in arguments), default=0)
    place = 4 * (_NUMBER_TEXT + max(widths, default=0)) + longest * _QUOTED
    return growth(form) * 4 + form.count("%") * place


class _PaidFormatter(SandboxedFormatter):
    """``str.format`` within the allowance."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write one field."""
        width = sum(map(int, _DIGITS.findall(format_spec)))
        allowance.spend(_NUMBER_TEXT + 4 * width + price(text(value)))
        return Formatter.format_field(self, value, format_spec)

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """Apply ``!r`` or ``!s``."""
        allowance.spend(weigh(value) * 10)
        return Formatter.convert_field(self, value, conversion)


def _plain(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """The text again, or parts of it, or letters that became two or three."""
    return price(subject) * (1 if subject.isascii() else 3)


def _nothing(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    return OBJECT


def _strip(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    search(subject, *args)
    return price(subject)


def _backwards(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Python searches from the end letter by letter, where it is clever from the beginning."""
    search(subject, *args, *kwargs.values())
    return OBJECT


def search(subject: str, *sought: Any) -> None:
    """Refuse a search that would take too long; raises SecurityError."""
    for each in sought:
        if isinstance(each, str) and len(each) * len(subject) > _SEARCH:
            raise SecurityError("the text to look for is too long")


def _split(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    separator = args[0] if args else kwargs.get("sep")
    if isinstance(separator, str):
        pieces = subject.count(separator) if separator else 0
    else:
        pieces = sum(map(subject.count, _SPACES))
    return price(subject) + OBJECT * (pieces + 1)


def _split_backwards(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    return _backwards(subject, args, kwargs) + _split(subject, args, kwargs)


def _lines(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    return price(subject) + OBJECT * (sum(map(subject.count, _SPACES)) + 1)


def _padding(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    width = args[0] if args and isinstance(args[0], int) else 0
    return price(subject) * 4 + 4 * max(width, 0)


def _tabs(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    size = args[0] if args else kwargs.get("tabsize", 8)
    return price(subject) + 4 * subject.count("\t") * max(size, 0)


def replaced(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Bytes of ``subject.replace(old, new)``."""
    old, new = (*args, "", "")[:2]
    if not isinstance(old, str) or not isinstance(new, str):
        return OBJECT
    wide = growth(subject, new) // price(subject, new) * (1 if subject.isascii() and new.isascii() else 4)
    return wide * (OBJECT + len(subject) + subject.count(old) * len(new))


def _join(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    texts = [text(each) for each in args[0]] if args else []
    return growth(subject, *texts) + growth(subject) * 4 * len(texts)


_PLAIN = (
    *("capitalize", "casefold", "lower", "partition", "removeprefix", "removesuffix", "swapcase"),
    *("title", "upper"),
)
_NOTHING = (
    *("count", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal"),
    *("isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle"),
    *("isupper", "startswith"),
)
_TEXT: dict[str, Price] = {
    **dict.fromkeys(_PLAIN, _plain),
    **dict.fromkeys(_NOTHING, _nothing),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), _strip),
    **dict.fromkeys(("rfind", "rindex"), _backwards),
    **dict.fromkeys(("rsplit", "rpartition"), _split_backwards),
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padding),
    "expandtabs": _tabs,
    "join": _join,
    "replace": replaced,
    "split": _split,
    "splitlines": _lines,
}
_FORMATS = frozenset(["format", "format_map"])
_LISTS = frozenset(["copy", "count", "index"])
_LOOP = (
    *("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"),
    *("previtem", "nextitem", "cycle", "changed"),
)
_ATTRIBUTES: tuple[tuple[type, frozenset[str]], ...] = (
    (str, frozenset(_TEXT)),
    (dict, frozenset(["copy", "get", "items", "keys", "values"])),
    (_GroupTuple, frozenset(["grouper", "list", "count", "index"])),
    (list, _LISTS),
    (tuple, _LISTS - {"copy"}),
    (LoopContext, frozenset(_LOOP)),
    (Macro, frozenset(["name", "arguments", "catch_kwargs", "catch_varargs", "caller"])),
    (Cycler, frozenset(["current", "items", "next", "reset"])),
)


def has(value: Any, name: str) -> bool:
    """Whether a template may know this attribute of a value."""
    if isinstance(value, Namespace):
        return not name.startswith("_")
    return any(name in names for kind, names in _ATTRIBUTES if isinstance(value, kind))


def owner_of(function: Any) -> str | dict[Any, Any] | list[Any] | tuple[Any, ...] | None:
    """Whose method a function is; None when it is of no value."""
    owner = None if isinstance(function, Undefined) else getattr(function, "__self__", None)
    return owner if isinstance(owner, str | dict | list | tuple) else None


def pay(
    owner: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Pay for a method of a value that is about to be called; gives its arguments."""
    if isinstance(owner, str) and name == "join":
        args = tuple(listed(each) for each in args)
    elif isinstance(owner, Markup) and not all(isinstance(each, str | int) for each in args):
        raise SecurityError(f"{name} of escaped text takes text")
    if isinstance(owner, str):
        allowance.spend(_TEXT[name](owner, args, kwargs))
    elif name == "copy":
        allowance.spend(OBJECT + 2 * OBJECT * len(owner))
    return args


def formatter(environment: Environment, function: Any) -> Callable[..., str] | None:
    """``str.format`` or ``str.format_map`` within the allowance; None for other functions."""
    owner, name = owner_of(function), getattr(function, "__name__", "")
    if type(owner) is not str or name not in _FORMATS:
        return None

    def fill(*args: Any, **kwargs: Any) -> str:
        allowance.spend(2 * price(owner))
        given, named = ((), args[0]) if name == "format_map" else (args, kwargs)
        return _PaidFormatter(environment).vformat(owner, given, named)

    return fill
