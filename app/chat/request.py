"""Requests as values of the domain: the same for every API dialect, without ids of the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, Final, Literal

from app.provider.types import Constraint, Message, Sampling, Tool, ToolChoice

Value = str | int | float | bool
"""A value of a variable in a prompt template."""


class Unset(Enum):
    """The type of ``UNSET``."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""The request does not have the field. None means that the client sent null."""


_DEFAULT = Sampling()

SMALLEST_TOP_P = 1e-6
"""What clients of other APIs mean by 0: the likeliest token alone."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling options of a request or a template; None for those that it does not set."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None

    def with_defaults(self, base: SamplingOptions) -> SamplingOptions:
        """These options, with unset ones taken from ``base``."""
        return replace(base, **self._set_values())

    def to_sampling(self) -> Sampling:
        """The options for an engine; unset ones get the server's defaults."""
        values = self._set_values()
        explicit = tuple(
            name for name, value in sorted(values.items()) if value == getattr(_DEFAULT, name)
        )
        return Sampling(**values, explicit=explicit)

    def _set_values(self) -> dict[str, Any]:
        values = ((name, getattr(self, name)) for name in SAMPLING_FIELDS)
        return {name: value for name, value in values if value is not None}


SAMPLING_FIELDS = frozenset(each.name for each in fields(SamplingOptions))
"""Names of the options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A question with the messages before it.

    ``model`` None is the default model. ``template`` names a prompt template, ``variables`` are its
    values.
    """

    message: str
    history: tuple[Message, ...] = ()
    system: str | Unset | None = UNSET
    model: str | None = None
    sampling: SamplingOptions = SamplingOptions()
    template: str | Unset | None = UNSET
    variables: Mapping[str, Value] = field(default_factory=dict)


Overflow = Literal["error", "drop_oldest", "summarise"]
"""What happens if a stored conversation no longer fits into the model's context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """What an answer may consist of beside free text; the fields are those of ``Prompt``."""

    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    constraint: Constraint | None = None
    logprobs: int | None = None
    thinking: bool = False
    thinking_budget: int | None = None
    template_variables: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest(ChatRequest):
    """A question in a stored conversation.

    Without a ``conversation_id`` it starts one. ``parent_id`` is the answer that the question
    follows; None makes it a first question, UNSET continues the active branch. With
    ``wait_when_busy`` it waits until a running answer of the conversation ends.
    """

    conversation_id: str | None = None
    parent_id: str | Unset | None = UNSET
    overflow: Overflow = "drop_oldest"
    wait_when_busy: bool = False
    options: AnswerOptions = AnswerOptions()
