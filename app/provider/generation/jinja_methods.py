"""Operators and methods of values, as chat templates use them, and what each costs.

What is not listed here does not exist for a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from jinja2 import Environment
from jinja2.exceptions import SecurityError
from jinja2.filters import _GroupTuple
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import SandboxedFormatter
from jinja2.utils import Cycler, Namespace
from markupsafe import Markup

from app.provider.generation.jinja_values import (
    CELL,
    ENTRY,
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
    if operator == "+" and _is_row(left) and _is_row(right):
        texts = isinstance(left, str) and isinstance(right, str)
        allowance.spend(growth(left, right) if texts else _size(left) + _size(right))
    elif operator == "*" and isinstance(right, int):
        _repeat(left, right)
    elif operator == "*" and isinstance(left, int):
        _repeat(right, left)
    elif operator == "%" and isinstance(left, str):
        allowance.spend(formatted(left, right))
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        _power(left, right)


def _is_row(value: Any) -> bool:
    return isinstance(value, str | list | tuple)


def _size(row: Any) -> int:
    return price(row) if isinstance(row, str) else OBJECT + CELL * len(row)


def _repeat(value: Any, times: int) -> None:
    if _is_row(value):
        allowance.spend(OBJECT + (_size(value) - OBJECT) * max(times, 0))


def _power(base: int, exponent: int) -> None:
    if base.bit_length() * max(exponent, 0) > 2 * LARGEST.bit_length():
        raise SecurityError("the number is too large")


def formatted(form: str, values: Any) -> int:
    """Bytes of ``form % values``, at most: every place as wide as the widest."""
    arguments = list(values.values()) if isinstance(values, dict) else values
    arguments = arguments if isinstance(arguments, list | tuple) else [values]
    stars = max((abs(each) for each in arguments if isinstance(each, int)), default=0)
    width = max((int(found[0]) for found in _DIGITS.finditer(form)), default=0)
    longest = max((growth(text(each)) for each in arguments), default=0)
    place = 4 * (_NUMBER_TEXT + stars + width) + longest * _QUOTED
    return growth(form) * 4 + form.count("%") * place


class _PaidFormatter(SandboxedFormatter):
    """``str.format`` within the allowance."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write one field."""
        width = sum(int(found[0]) for found in _DIGITS.finditer(format_spec))
        allowance.spend(_NUMBER_TEXT + 4 * width + price(text(value)))
        field: str = Formatter.format_field(self, value, format_spec)
        return field

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """Apply ``!r`` or ``!s``."""
        allowance.spend(weigh(value) * _QUOTED)
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
        pieces = gaps(subject)
    return price(subject) + OBJECT * (pieces + 1)


def _split_backwards(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    return _backwards(subject, args, kwargs) + _split(subject, args, kwargs)


def _lines(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    return price(subject) + OBJECT * (gaps(subject) + 1)


def gaps(subject: str) -> int:
    """How often a text may be split into words or lines."""
    return sum(map(subject.count, _SPACES))


def _padding(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    width = args[0] if args and isinstance(args[0], int) else 0
    return price(subject) * 4 + 4 * max(width, 0)


def _tabs(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    size: int = args[0] if args else kwargs.get("tabsize", 8)
    return price(subject) + 4 * subject.count("\t") * max(size, 0)


def replaced(subject: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Bytes of ``subject.replace(old, new)``."""
    old, new = (*args, "", "")[:2]
    if not isinstance(old, str) or not isinstance(new, str):
        return OBJECT
    wide = growth(subject, new) // price(subject, new)
    wide *= 1 if subject.isascii() and new.isascii() else 4
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
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, str | dict | list | tuple) else None


def pay(owner: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Pay for a method of a value that is about to be called; gives its arguments."""
    if isinstance(owner, str) and name == "join":
        args = tuple(listed(each) for each in args)
    elif isinstance(owner, Markup) and not all(isinstance(each, str | int) for each in args):
        raise SecurityError(f"{name} of escaped text takes text")
    if isinstance(owner, str):
        allowance.spend(_TEXT[name](owner, args, kwargs))
    elif name == "copy":
        allowance.spend(OBJECT + ENTRY * len(owner))
    return args


def formatter(environment: Environment, function: Any) -> Callable[..., str] | None:
    """``str.format`` or ``str.format_map`` within the allowance; None for other functions."""
    owner, name = owner_of(function), getattr(function, "__name__", "")
    if type(owner) is not str or name not in _FORMATS:
        return None

    def fill(*args: Any, **kwargs: Any) -> str:
        allowance.spend(2 * price(owner) + OBJECT * (owner.count("{") + owner.count("}")))
        given, named = ((), args[0]) if name == "format_map" else (args, kwargs)
        return _PaidFormatter(environment).vformat(owner, given, named)

    return fill
