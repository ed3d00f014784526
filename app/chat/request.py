"""What a dialect asks for: plain values without ids, the same for every API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, Final, Literal

from app.provider.types import Message, Sampling

Value = str | int | float | bool
"""What a variable of a prompt template can be set to."""


class Unset(Enum):
    """The type of ``UNSET``."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""The request does not name the field; None means that it names nothing on purpose."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How an answer is to be drawn; None where the request or the template does not say."""

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
        """These options, and those of ``base`` where these do not say."""
        return replace(base, **self._set_values())

    def sampling(self) -> Sampling:
        """The same with the defaults filled in, as engines take it."""
        return Sampling(**self._set_values())

    def _set_values(self) -> dict[str, Any]:
        values = ((name, getattr(self, name)) for name in SAMPLING_FIELDS)
        return {name: value for name, value in values if value is not None}


SAMPLING_FIELDS = frozenset(each.name for each in fields(SamplingOptions))
"""Names of the options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A question, with the messages before it.

    ``model`` None is the default model. ``template`` names a prompt template, which ``variables``
    fill in.
    """

    message: str
    history: tuple[Message, ...] = ()
    system: str | Unset | None = UNSET
    model: str | None = None
    sampling: SamplingOptions = SamplingOptions()
    template: str | Unset | None = UNSET
    variables: Mapping[str, Value] = field(default_factory=dict)


Overflow = Literal["error", "drop_oldest", "summarise"]
"""What happens to a stored conversation that no longer fits into the model's context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest(ChatRequest):
    """A question in a conversation that the server keeps.

    Without a ``conversation_id`` it starts one. ``parent_id`` is the answer that the question
    follows, None makes it a first question, UNSET follows the active branch. ``waits``: for
    another answer of the conversation that is being made.
    """

    conversation_id: str | None = None
    parent_id: str | Unset | None = UNSET
    overflow: Overflow = "drop_oldest"
    wait_when_busy: bool = False
