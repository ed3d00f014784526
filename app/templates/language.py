"""Prompt templates: a language smaller than Jinja, which people may write for others to run.

They render inside the API process, so nothing in them may take long in one piece: a watchdog can
stop a loop, but not one call into C that builds gigabytes or compares for hours. Hence values are
scalars or flat lists, never nested; only listed statements, filters and methods exist; and every
text that is made is paid for out of an allowance before it is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sized
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from app.provider.generation.jinja_filters import guarded
from app.provider.generation.jinja_limits import Allowance, TemplateFailed, bounded, limited

LONGEST_TEXT = 256 * 1024
"""Characters a template may render beyond those of the values it is given."""

SECONDS = 0.5
"""Time for rendering once; compiling may take as long."""

_LARGEST = 2**63
_WORK = 4
"""A template may handle so many times the characters that it may render."""

_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.With),
    *(nodes.Assign, nodes.AssignBlock, nodes.Name, nodes.NSRef, nodes.Const, nodes.Keyword),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem),
    *(nodes.Call, nodes.Filter, nodes.Test, nodes.CondExpr, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul),
    *(nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.Break, nodes.Continue),
)
_METHODS: dict[type, frozenset[str]] = {
    **dict.fromkeys((int, float, bool, list, tuple, range, bytes), frozenset[str]()),
    dict: frozenset(["get", "items", "keys", "values"]),
    str: frozenset(
        [
            *("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "isdigit"),
            *("split", "splitlines", "startswith", "endswith", "removeprefix", "removesuffix"),
        ]
    ),
}
_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "last", "length", "list"),
    *("lower", "max", "min", "reverse", "sort", "title", "trim", "truncate", "unique", "upper"),
)


_allowance = Allowance()
"""In characters."""


def _paid(result: Any) -> Any:
    if isinstance(result, Sized) and not isinstance(result, range):
        _allowance.spend(len(result))
    return result


class _Generator(CodeGenerator):
    """``~`` joins as everything else does: within the allowance."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("concat(map(environment.text, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write(")))")


class _Language(ImmutableSandboxedEnvironment):
    """See the module."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(["+", "*", "%"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.loopcontrols"],
            optimized=False,
            finalize=_shown,
        )
        self.globals = {name: self.globals[name] for name in ("range", "namespace")}
        self.filters = {name: guarded(FILTERS[name], _paid) for name in _FILTERS}
        own: dict[str, Callable[..., Any]]
        own = {"int": _int, "join": _join, "replace": _replace, "round": _round, "tojson": _json}
        self.filters |= {name: guarded(function, _paid) for name, function in own.items()}

    def concat(self, pieces: Iterable[str]) -> str:
        """Join what a block has made."""
        return _joined(list(pieces))

    def text(self, value: Any) -> str:
        """How a value reads in the middle of text."""
        return _text(value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        return _paid(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, str) or isinstance(right, str):
            _pay_for_text(operator, left, right)
        elif not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"the operator {operator} takes numbers or text")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and abs(result) > _LARGEST:
            raise SecurityError("the number is too large")
        return result

    def wrap_str_format(self, value: Any) -> None:
        """Leave ``format`` to ``is_safe_attribute``: its widths make much out of little."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        allowed = _METHODS.get(type(obj))
        if allowed is not None:
            return attr in allowed
        return super().is_safe_attribute(obj, attr, value)


def _pay_for_text(operator: str, left: Any, right: Any) -> None:
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        _allowance.spend(len(left) + len(right))
    elif operator == "*" and (isinstance(left, int) or isinstance(right, int)):
        text, times = (left, right) if isinstance(left, str) else (right, left)
        _allowance.spend(len(text) * max(times, 0))
    else:
        raise SecurityError(f"the operator {operator} does not take these; join text with ~")


@pass_context
def _shown(_: Context, value: Any) -> str:
    """What ``{{ value }}`` prints."""
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str | int | float):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, StrictUndefined):
        return str(value)  # raises, and names what is undefined
    raise SecurityError(f"a {type(value).__name__} is not text: use the filter join or tojson")


def _joined(pieces: list[str], separator: str = "") -> str:
    _allowance.spend(sum(map(len, pieces)) + len(separator) * len(pieces))
    return separator.join(pieces)


def _join(values: Iterable[Any], separator: str = "") -> str:
    return _joined([_text(value) for value in values], str(separator))


def _replace(text: Any, old: str, new: str) -> str:
    text, old, new = _text(text), str(old), str(new)
    _allowance.spend(text.count(old) * len(new))
    replaced: str = text.replace(old, new)
    return replaced


def _int(value: Any, default: int = 0) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _round(value: float, digits: int = 0) -> float:
    return round(float(value), max(-15, min(digits, 15)))


def _json(value: Any) -> str:
    """Piece by piece, so that the limits can end it."""
    pieces = json.JSONEncoder(ensure_ascii=False).iterencode(value)
    return "".join(limited(pieces, max(_allowance.left, 0)))


_language = _Language()


class PromptTemplate:
    """A template's source, compiled. ``names`` are the variables it uses."""

    def __init__(self, source: str) -> None:
        try:
            self.names, self._template = bounded(SECONDS, lambda: _compile(source))
        except TemplateFailed as failure:
            raise TemplateFailed(_where(failure)) from failure

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill in the values, within the limits; raises TemplateFailed."""
        given = sum(len(value) for value in values.values() if isinstance(value, str))
        longest = LONGEST_TEXT + given
        _allowance.grant(longest * _WORK)
        pieces = self._template.generate(values)
        return bounded(SECONDS, lambda: "".join(limited(pieces, longest)))


def _compile(source: str) -> tuple[frozenset[str], Template]:
    tree = _language.parse(source)
    _check(tree)
    names = frozenset(meta.find_undeclared_variables(tree)) - {*_language.globals}
    return names, _language.from_string(source)


def _check(tree: nodes.Template) -> None:
    """Refuse what the language does not have; raises TemplateSyntaxError."""
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, (*_NODES, nodes.EvalContext)):
            _refuse(f"{type(node).__name__} is not available here", node)
        if isinstance(node, nodes.Filter) and node.name not in _language.filters:
            _refuse(f"there is no filter {node.name!r} here", node)
        if isinstance(node, nodes.Test) and node.name not in _language.tests:
            _refuse(f"there is no test {node.name!r}", node)
        if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict) and not _flat(node):
            _refuse("a list may hold only texts, numbers and truth values", node)


def _flat(node: nodes.List | nodes.Tuple | nodes.Dict) -> bool:
    """Whether a literal holds only constants; a tuple of names to assign to holds nothing."""
    if isinstance(node, nodes.Dict):
        return all(isinstance(each, nodes.Pair | nodes.Const) for each in node.find_all(nodes.Node))
    if isinstance(node, nodes.Tuple) and node.ctx == "store":
        return True
    return all(isinstance(item, nodes.Const) for item in node.items)


def _refuse(message: str, node: nodes.Node) -> None:
    raise TemplateSyntaxError(message, node.lineno or 1)


def _where(failure: TemplateFailed) -> str:
    cause = failure.__cause__
    if isinstance(cause, RecursionError):
        return "it is nested too deeply"
    if isinstance(cause, TemplateSyntaxError):
        return f"{cause.message} (line {cause.lineno} of the text)"
    return str(failure)


@lru_cache(maxsize=128)
def compiled(source: str) -> PromptTemplate:
    """Compile, or find what was compiled before; raises TemplateFailed."""
    return PromptTemplate(source)
