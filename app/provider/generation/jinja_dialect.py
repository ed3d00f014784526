"""What chat templates know beyond Jinja, as transformers' ``apply_chat_template`` gives it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import safe_range
from jinja2.utils import Cycler, Joiner, Namespace

from app.provider.generation.jinja_limits import TemplateRefused, clipped
from app.provider.generation.jinja_values import NODE, allowance, listed, text, weigh

_LONGEST_FORM = 1000
"""Characters of a date's form; the C library multiplies them by up to 256."""
_DEEPEST = 100
_ESCAPED = 6
"""Characters that one becomes in JSON, at most."""


class TemplateNamespace(Namespace):
    """``namespace(…)``, which takes no names that begin with ``_``."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        """Take a dict, or names and values; also one that is called ``self``."""
        attributes = _mapping(*args[1:], **kwargs)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(args[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace cannot hold {name!r}: the name begins with _")


def _mapping(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    """``dict(…)``."""
    first = [
        each if isinstance(each, dict) or not isinstance(each, Iterable) else listed(each)
        for each in args
    ]
    return dict(*first, **kwargs)


def _raise_exception(message: object) -> None:
    """What templates call to refuse a conversation."""
    raise TemplateRefused(clipped(text(message)))


def _strftime_now(form: str) -> str:
    if len(form) > _LONGEST_FORM:
        raise SecurityError("the form of the date is too long")
    return datetime.now().strftime(form)


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Unlike Jinja's own filter, no HTML escapes: models were not trained on them."""
    weight = weigh(value)
    step = len(indent) if isinstance(indent, str) else max(indent or 0, 0)
    between = sum(map(len, separators or ())) + _DEEPEST * step
    allowance.spend(weight * _ESCAPED + weight // NODE * between)
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


GLOBALS: dict[str, Any] = {
    "cycler": Cycler,
    "dict": _mapping,
    "joiner": Joiner,
    "namespace": TemplateNamespace,
    "raise_exception": _raise_exception,
    "range": safe_range,
    "strftime_now": _strftime_now,
}
