"""Chat templates in a sandbox: transformers' dialect of Jinja, within limits.

A template gets no code of ours into reach (CVE-2024-34359), and neither its time nor its memory
is unlimited: ``jinja_limits`` bounds the time, ``jinja_values`` the memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from jinja2 import Template, TemplateSyntaxError
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from app.provider.generation import jinja_methods, jinja_values
from app.provider.generation.jinja_compiler import Generation, Generator, check
from app.provider.generation.jinja_dialect import GLOBALS
from app.provider.generation.jinja_filters import CHAT_FILTERS, CHAT_TESTS
from app.provider.generation.jinja_limits import (
    TemplateFailed,
    TemplateRefused,
    bounded,
    clipped,
    limited,
)
from app.provider.generation.jinja_values import OBJECT, Buffer, allowance, combined, weigh

__all__ = ["SandboxedTemplate", "TemplateFailed", "TemplateRefused"]

LONGEST_TEXT = 2**20
"""Characters a template may write beyond four times those that it is given."""
LONGEST_SOURCE = 256 * 1024
"""Characters of a template; real ones have up to 30,000."""

_SECONDS = 2.0
"""Time for rendering once."""
_COMPILING = 10.0
"""Time for compiling: it takes half a second of a core at most, but the machine may be busy."""
_ALLOWANCE = 48 * 2**20
"""Bytes that a template may make while it renders, beyond those for what it is given."""
_WORK = 32
"""A template may handle so many times what it is given."""
_UNENDING = 2**62
_OWN_ARGUMENTS = ("_loop_vars", "_block_vars")
"""What Jinja adds to a call: all the variables of the loop."""


class _ChatEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where every operation that makes something is paid for."""

    code_generator_class = Generator
    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[Generation, "jinja2.ext.loopcontrols"],
            optimized=False,
            finalize=_shown,
        )
        self.globals = dict(GLOBALS)
        self.filters = dict(CHAT_FILTERS)
        self.tests = dict(CHAT_TESTS)

    buffer = staticmethod(Buffer)
    combined = staticmethod(combined)
    cut = staticmethod(jinja_values.cut)
    text = staticmethod(jinja_values.text)

    def concat(self, pieces: Iterable[str]) -> str:
        """Join what a block has written."""
        return jinja_values.joined(list(pieces))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        owner = jinja_methods.owner_of(__obj)
        if owner is not None:
            args = jinja_methods.pay(owner, __obj.__name__, args, kwargs)
        elif not isinstance(__obj, Macro) or __obj.catch_varargs or __obj.catch_kwargs:
            combined(args)
            combined({name: kwargs[name] for name in kwargs if name not in _OWN_ARGUMENTS})
        return combined(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        jinja_methods.operate(operator, left, right)
        return combined(super().call_binop(context, operator, left, right))

    def handle_exception(self, source: str | None = None) -> NoReturn:
        """Raise on; Jinja would write a traceback, which keeps the template's values."""
        raise sys.exc_info()[1] or RuntimeError

    def wrap_str_format(self, value: Any) -> Any:
        """Give templates a ``str.format`` that is paid for."""
        return jinja_methods.formatter(self, value)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return jinja_methods.has(obj, attr)


@pass_context
def _shown(_: Context, value: Any) -> str:
    """What ``{{ value }}`` prints."""
    allowance.spend(OBJECT)
    return jinja_values.text(value)


_environment = _ChatEnvironment()


class SandboxedTemplate:
    """A chat template as models carry it, compiled once; raises TemplateFailed."""

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_SOURCE:
            length = f"{len(source)} characters, and {LONGEST_SOURCE} are the most"
            raise TemplateFailed(f"The template is broken: it has {length}.")
        try:
            self._template = bounded(_COMPILING, lambda: _compiled(source))
        except TemplateFailed as failure:
            raise TemplateFailed(f"The template is broken: {_reason(failure)}") from failure

    def render(self, **variables: Any) -> str:
        """Render within the limits; raises TemplateFailed, or TemplateRefused."""
        given = weigh(variables, _UNENDING)
        allowance.grant(_ALLOWANCE + _WORK * given)
        pieces = self._template.generate(**variables)
        longest = LONGEST_TEXT + 4 * given
        return bounded(_SECONDS, lambda: "".join(limited(pieces, longest)))


def _compiled(source: str) -> Template:
    tree = _environment.parse(source.removeprefix("\ufeff"))
    check(tree)
    return _environment.from_string(tree)


def _reason(failure: TemplateFailed) -> str:
    cause = failure.__cause__
    if isinstance(cause, RecursionError):
        return "it is nested too deeply"
    if isinstance(cause, TemplateSyntaxError):
        return clipped(f"{cause.message} (line {cause.lineno})")
    return clipped(failure)
