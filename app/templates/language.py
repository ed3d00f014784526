"""The language of prompt templates: a subset of Jinja that is safe to render for anybody.

Templates render in a thread of the API process. A watchdog ends loops there, but it cannot end a
single call into C code, which holds the interpreter's lock. Therefore values are scalars or flat
lists, only the listed statements, filters and methods exist, and text and lists are charged to an
allowance before they are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import BuiltinMethodType
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from app.provider.generation.jinja_limits import TemplateFailed, bounded, limited
from app.templates.language_filters import (
    FILTERS,
    allowance,
    as_text,
    charge_result,
    check_strip,
    join_texts,
)

MAX_ADDED_CHARACTERS = 256 * 1024
"""Characters that a template may render beyond those of its values."""

MAX_SECONDS = 0.5
"""Time limit for rendering, and for compiling."""

_MAX_INTEGER = 2**63
_ALLOWANCE_FACTOR = 4
"""The allowance, as a multiple of the characters that a template may render."""

_ALLOWED_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.With),
    *(nodes.Assign, nodes.AssignBlock, nodes.Name, nodes.NSRef, nodes.Const, nodes.Keyword),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem),
    *(nodes.Call, nodes.Filter, nodes.Test, nodes.CondExpr, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul),
    *(nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.Break, nodes.Continue),
)
_ALLOWED_METHODS: dict[type, frozenset[str]] = {
    **dict.fromkeys((int, float, bool, list, tuple, range, bytes), frozenset[str]()),
    dict: frozenset(["get", "items", "keys", "values"]),
    str: frozenset(
        [
            *("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "isdigit"),
            *("split", "splitlines", "startswith", "endswith", "removeprefix", "removesuffix"),
        ]
    ),
}


class _Generator(CodeGenerator):
    """Compiles ``~`` to a call of ``_Language.concat``, which charges for the text."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("concat(map(environment.text, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write(")))")


class _Language(ImmutableSandboxedEnvironment):
    """The environment that compiles and renders prompt templates."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(["+", "*", "%"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.loopcontrols"],
            optimized=False,
            finalize=_finalize,
        )
        self.globals = {name: self.globals[name] for name in ("range", "namespace")}
        self.filters = dict(FILTERS)

    def concat(self, pieces: Iterable[str]) -> str:
        """Join the pieces of a block or of ``~``."""
        return join_texts(list(pieces))

    def text(self, value: Any) -> str:
        """Write a value as ``~`` joins it."""
        return as_text(value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call a method or a function, within the allowance."""
        _charge_method(__obj, args)
        return charge_result(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute ``+``, ``*`` and ``%``, within the allowance."""
        if isinstance(left, str) or isinstance(right, str):
            _charge_operator(operator, left, right)
        elif not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"the operator {operator} takes numbers or text")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and abs(result) > _MAX_INTEGER:
            raise SecurityError("the number is too large")
        return result

    def wrap_str_format(self, value: Any) -> None:
        """Return None: ``format`` is not available, because a width could make long text."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read this attribute."""
        allowed = _ALLOWED_METHODS.get(type(obj))
        if allowed is not None:
            return attr in allowed
        return super().is_safe_attribute(obj, attr, value)


def _charge_operator(operator: str, left: Any, right: Any) -> None:
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        allowance.spend(len(left) + len(right))
    elif operator == "*" and (isinstance(left, int) or isinstance(right, int)):
        text, times = (left, right) if isinstance(left, str) else (right, left)
        allowance.spend(len(text) * max(times, 0))
    else:
        raise SecurityError(f"the operator {operator} does not take these; join text with ~")


def _charge_method(method: Any, args: tuple[Any, ...]) -> None:
    text = method.__self__ if isinstance(method, BuiltinMethodType) else None
    if not isinstance(text, str):
        return
    if method.__name__ in ("split", "splitlines"):
        allowance.spend(len(text))
    elif method.__name__ in ("strip", "lstrip", "rstrip") and args:
        check_strip(text, args[0])


@pass_context
def _finalize(_: Context, value: Any) -> str:
    # With a context argument, Jinja does not evaluate constants while it compiles.
    return as_text(value)


_language = _Language()


class PromptTemplate:
    """A compiled source; ``variables`` are the names that it uses."""

    def __init__(self, source: str) -> None:
        try:
            self.variables, self._template = bounded(MAX_SECONDS, lambda: _compile(source))
        except TemplateFailed as failure:
            raise TemplateFailed(_error_text(failure)) from failure

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill in the values, within the limits; raises TemplateFailed."""
        given = sum(len(value) for value in values.values() if isinstance(value, str))
        longest = MAX_ADDED_CHARACTERS + given
        allowance.grant(longest * _ALLOWANCE_FACTOR)
        pieces = self._template.generate(values)
        return bounded(MAX_SECONDS, lambda: "".join(limited(pieces, longest)))


def _compile(source: str) -> tuple[frozenset[str], Template]:
    tree = _language.parse(source)
    _check_nodes(tree)
    names = frozenset(meta.find_undeclared_variables(tree)) - {*_language.globals}
    return names, _language.from_string(tree)  # the source would be parsed again


def _check_nodes(tree: nodes.Template) -> None:
    """Raise TemplateSyntaxError for constructs that the language does not have."""
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, (*_ALLOWED_NODES, nodes.EvalContext)):
            _refuse(f"{type(node).__name__} is not available here", node)
        if isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and node.dyn_args:
            _refuse("'*' before an argument is not available here", node)
        if isinstance(node, nodes.Filter) and node.name not in _language.filters:
            _refuse(f"there is no filter {node.name!r} here", node)
        if isinstance(node, nodes.Test) and node.name not in _language.tests:
            _refuse(f"there is no test {node.name!r}", node)
        if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict) and not _is_flat(node):
            _refuse("a list may hold only texts, numbers and truth values", node)


def _is_flat(node: nodes.List | nodes.Tuple | nodes.Dict) -> bool:
    """Whether a literal holds only constants; a tuple on the left of ``=`` is no value."""
    if isinstance(node, nodes.Dict):
        return all(isinstance(each, nodes.Pair | nodes.Const) for each in node.find_all(nodes.Node))
    if isinstance(node, nodes.Tuple) and node.ctx == "store":
        return True
    return all(isinstance(item, nodes.Const) for item in node.items)


def _refuse(message: str, node: nodes.Node) -> None:
    raise TemplateSyntaxError(message, node.lineno or 1)


def _error_text(failure: TemplateFailed) -> str:
    cause = failure.__cause__
    if isinstance(cause, RecursionError):
        return "it is nested too deeply"
    if isinstance(cause, TemplateSyntaxError):
        return f"{cause.message} (line {cause.lineno} of the text)"
    return str(failure)


@lru_cache(maxsize=128)
def compile_source(source: str) -> PromptTemplate:
    """Compile a source, or return it from the cache; raises TemplateFailed."""
    return PromptTemplate(source)
