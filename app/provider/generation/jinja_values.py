"""What the values of a chat template cost: in bytes, paid before they are made.

Text and lists may be shared: a list that holds a list twice, which holds a list twice, and so on,
is small in memory and endless when it is written, compared or sorted, which C does in one piece.
So what puts values together is weighed, shared parts as often as they are reached, and may not
weigh more than a part of the allowance. Lists and dicts cannot be changed afterwards, and a part of
one weighs less than the whole: nothing else has to be weighed.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace
from markupsafe import Markup

from app.provider.generation.jinja_limits import Allowance, TemplateFailed

LARGEST = 2**64
"""The largest whole number; beyond it, arithmetic takes time and memory of its own."""

CELL = 8
"""Bytes of a place in a list."""
ENTRY = 100
"""Bytes of an entry of a dict."""
OBJECT = 80
"""Bytes of a small object: a text of one letter, a list that is empty."""

NODE = 16
"""What weighs a value that is no text."""
_DEEPEST = 100
_LIGHT = 8
"""This part of the allowance is the most that one value may weigh."""
_WIDE = 4
"""Bytes of a character, in a text that has any beyond ASCII."""
_ESCAPED = 10
"""Characters that one can become where a text is quoted: U+10FFFF as an escape."""
_MARKED_UP = 6
"""Characters that one can become where markup is escaped."""

_VIEWS = (KeysView, ValuesView, ItemsView)
_ROWS = (list, tuple, set, frozenset, *_VIEWS)

allowance = Allowance()
"""In bytes."""


def price(*texts: str) -> int:
    """Bytes of these texts in one."""
    length = sum(map(len, texts))
    return OBJECT + (length if all(map(str.isascii, texts)) else _WIDE * length)


def growth(*texts: str) -> int:
    """Bytes of these texts in one, where operations on markup escape them."""
    escaped = any(isinstance(each, Markup) for each in texts)
    return price(*texts) * (_MARKED_UP * _WIDE if escaped else 1)


def weigh(value: Any, limit: int | None = None) -> int:
    """Bytes of all that is reached from a value; raises TemplateFailed beyond the limit."""
    limit = allowance.granted // _LIGHT if limit is None else limit
    weight = 0
    stack = [iter((value,))]
    while stack:
        for item in stack[-1]:
            weight += price(item) if isinstance(item, str) else NODE
            if weight > limit or len(stack) > _DEEPEST:
                raise TemplateFailed("The template puts more together than is allowed.")
            if inner := _inner(item):
                stack.append(inner)
                break
        else:
            stack.pop()
    return weight


def _inner(value: Any) -> Iterator[Any] | None:
    if isinstance(value, dict):
        return (each for pair in value.items() for each in pair)
    if isinstance(value, Namespace):
        return _inner(object.__getattribute__(value, "_Namespace__attrs"))
    return iter(value) if isinstance(value, _ROWS) else None


def made(value: Any) -> Any:
    """Let the template have what was made for it; text has been paid for before."""
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise SecurityError("the number is too large")
    elif isinstance(value, Iterator):
        # At once, because iterators within iterators would be work without an end. It stays an
        # iterator: those are true where an empty list is false.
        return iter(pulled(value))
    elif isinstance(value, (dict, *_ROWS)):
        each = ENTRY if isinstance(value, dict | set) else CELL
        allowance.spend(OBJECT + each * len(value))
    return value


def combined(value: Any) -> Any:
    """Let the template have what holds other values, if it does not weigh too much."""
    if isinstance(value, Iterator):
        value = pulled(value)
        weigh(value)
        return iter(value)
    if isinstance(value, (dict, *_ROWS)):
        weigh(value)
    return made(value)


def pulled(values: Iterable[Any]) -> list[Any]:
    """What is iterated over, in a list."""
    items = []
    for item in values:
        allowance.spend(CELL if isinstance(item, dict | str) else CELL + OBJECT)
        items.append(item)
    return items


def listed(value: Any) -> list[Any]:
    """The same of what may be text: its letters become objects."""
    if isinstance(value, str):
        allowance.spend(OBJECT * len(value))
    return pulled(value)


def cut(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """``value[start:stop:step]``."""
    bounds = slice(start, stop, step)
    if isinstance(value, str | list | tuple):
        length = len(range(*bounds.indices(len(value))))
        wide = 1 if isinstance(value, str) and value.isascii() else CELL
        allowance.spend(OBJECT + length * wide)
    return value[bounds]


def text(value: Any) -> str:
    """How a value reads."""
    if isinstance(value, (dict, Namespace, *_ROWS)):
        allowance.spend(weigh(value) * _ESCAPED)
    elif isinstance(value, str):
        if type(value) is str:
            return value
        allowance.spend(price(value))
    return str(value)


def joined(texts: list[str], separator: str = "") -> str:
    """Put texts together."""
    allowance.spend(price(*texts) + price(separator) * len(texts))
    return separator.join(texts)


class Buffer(list[str]):
    """What a block has written so far."""

    def append(self, piece: str) -> None:
        """Add a piece."""
        allowance.spend(CELL)
        super().append(piece)

    def extend(self, pieces: Iterable[str]) -> None:
        """Add several."""
        for piece in pieces:
            self.append(piece)
