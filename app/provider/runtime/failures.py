"""Errors as plain values, for the way from an engine process to the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    InputTooLong,
    ModelNotLoadable,
    ProviderError,
    UnsupportedConstraint,
    UnsupportedInput,
)
from app.provider.types import Count, Value

_LONGEST_SENTENCE = 4000
"""Characters; these sentences reach users, whoever has written them."""

Sentence = Annotated[str, Meta(max_length=_LONGEST_SENTENCE)]
Argument = Sentence | int | float | bool

_KINDS: dict[str, tuple[Callable[..., ProviderError], object]] = {
    "ProviderError": (ProviderError, tuple[Sentence]),
    "UnsupportedInput": (UnsupportedInput, tuple[Sentence]),
    "UnsupportedConstraint": (UnsupportedConstraint, tuple[Sentence]),
    "ContextOverflow": (ContextOverflow, tuple[Count, Count]),
    "InputTooLong": (InputTooLong, tuple[Count, Count, Count]),
    "ModelNotLoadable": (ModelNotLoadable, tuple[Sentence, bool]),
    "EngineBusy": (EngineBusy, tuple[Sentence, float]),
    "EngineUnavailable": (EngineUnavailable, tuple[Sentence, float]),
}
"""The errors that an engine process may report, with the types of their arguments."""


class Failure(Value, frozen=True):
    """An error: the name of its class and its arguments."""

    kind: str
    arguments: tuple[Argument, ...]


def describe(error: ProviderError) -> Failure:
    """Make a plain value of an error; one of an unknown kind keeps its sentence."""
    kind = type(error).__name__
    kind, arguments = (kind, error.args) if kind in _KINDS else ("ProviderError", (str(error),))
    return Failure(kind, tuple(map(_shortened, arguments)))


def _shortened(argument: Argument) -> Argument:
    return argument[:_LONGEST_SENTENCE] if isinstance(argument, str) else argument


def error_of(failure: Failure) -> ProviderError:
    """Make the error again; raises msgspec.ValidationError where the value describes none."""
    if failure.kind not in _KINDS:
        raise msgspec.ValidationError(f"no error is called {failure.kind[:40]!r}")
    make, arguments = _KINDS[failure.kind]
    return make(*msgspec.convert(failure.arguments, arguments))
