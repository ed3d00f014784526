"""Errors as plain values, for the way from one process to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, cast

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

Kinds = Mapping[type[Exception], object]
"""Classes of errors, with the types of the arguments that each is made of."""


class Failure(Value, frozen=True):
    """An error: the name of its class and its arguments."""

    kind: str
    arguments: tuple[Argument, ...]


class ErrorTable:
    """The errors that another process may report. Each is made anew from its ``args``."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self._by_name = {kind.__name__: kind for kind in kinds}

    def describe(self, error: Exception) -> Failure:
        """Make a plain value of an error; one of an unknown kind keeps its sentence."""
        kind = type(error)
        if kind not in self.kinds:
            return Failure("ProviderError", (_shortened(str(error)),))
        return Failure(kind.__name__, tuple(map(_shortened, error.args)))

    def error_of(self, failure: Failure) -> Exception:
        """Make the error again; raises msgspec.ValidationError where the value describes none."""
        kind = self._by_name.get(failure.kind)
        if kind is None:
            raise msgspec.ValidationError(f"no error is called {failure.kind[:40]!r}")
        return kind(*msgspec.convert(failure.arguments, self.kinds[kind]))


def _shortened(argument: Argument) -> Argument:
    return argument[:_LONGEST_SENTENCE] if isinstance(argument, str) else argument


_OF_ENGINES = ErrorTable(
    {
        ProviderError: tuple[Sentence],
        UnsupportedInput: tuple[Sentence],
        UnsupportedConstraint: tuple[Sentence],
        ContextOverflow: tuple[Count, Count],
        InputTooLong: tuple[Count, Count, Count],
        ModelNotLoadable: tuple[Sentence, bool],
        EngineBusy: tuple[Sentence, float],
        EngineUnavailable: tuple[Sentence, float],
    }
)

ENGINE_ERRORS = _OF_ENGINES.kinds
"""What an engine process may report."""


def describe(error: ProviderError) -> Failure:
    """Make a plain value of an engine's error; one of an unknown kind keeps its sentence."""
    return _OF_ENGINES.describe(error)


def error_of(failure: Failure) -> ProviderError:
    """Make an engine's error again; raises msgspec.ValidationError where there is none."""
    return cast("ProviderError", _OF_ENGINES.error_of(failure))
