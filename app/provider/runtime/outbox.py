"""Joins the small events of many engine steps, so that less time goes into messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

from app.provider.errors import ProviderError
from app.provider.generation.prefill_budget import FRAME_SECONDS
from app.provider.runtime import messages
from app.provider.types import AnyDelta, Delta, End, Started, ThinkingDelta, ToolCallDelta

T = TypeVar("T")


class Outbox:
    """Events of engine steps that have not been sent to the host yet.

    A small model makes more tokens in a second than anybody reads. Deltas of one job within
    FRAME_SECONDS are joined, where neighbours are of one kind, so that less time goes into
    messages. Everything else is sent at once, and so is the first delta of an answer.
    """

    def __init__(self) -> None:
        self._events: messages.Outcomes = []
        self._urgent = False
        self._sent_at = 0.0
        self._beginning: set[int] = set()

    def add(self, events: Sequence[tuple[int, messages.Outcome]]) -> None:
        """Add the events of a step."""
        self._events += events
        for job, event in events:
            if not isinstance(event, AnyDelta):
                self._urgent = True
                self._note(job, event)
            elif job in self._beginning:
                self._urgent = True
                self._beginning.discard(job)

    def _note(self, job: int, event: messages.Outcome) -> None:
        """Remember the jobs that have begun and sent no delta yet."""
        if isinstance(event, Started):
            self._beginning.add(job)
        elif isinstance(event, End | ProviderError):
            self._beginning.discard(job)

    def forget(self, job: int) -> None:
        """A job was cancelled: no delta of it will come."""
        self._beginning.discard(job)

    def due(self) -> bool:
        """Whether it is time to send; an empty report still shows that the engine works."""
        return self._urgent or time.monotonic() - self._sent_at >= FRAME_SECONDS

    def take(self) -> messages.Outcomes:
        """Take all events, with the deltas of each job joined."""
        events = join_deltas(self._events)
        self._events, self._urgent, self._sent_at = [], False, time.monotonic()
        return events


def join_deltas(events: Iterable[tuple[int, T]]) -> list[tuple[int, T]]:
    """The events in order, with neighbours of one job joined where both are one kind of delta."""
    joined: list[tuple[int, T]] = []
    newest: dict[int, int] = {}  # job → where its last event is
    for job, event in events:
        at = newest.get(job)
        if at is not None and (both := _join(joined[at][1], event)):
            joined[at] = job, cast("T", both)
        else:
            newest[job] = len(joined)
            joined.append((job, event))
    return joined


def _join(first: object, second: object) -> AnyDelta | None:
    """Two neighbouring deltas of one job as one; None where they are not of one kind."""
    match first, second:
        case Delta(), Delta() if first.retracted == second.retracted:
            text, tokens = first.text + second.text, first.tokens + second.tokens
            return Delta(text, second.retracted, tokens)
        case ThinkingDelta(), ThinkingDelta():
            return ThinkingDelta(first.text + second.text, first.tokens + second.tokens)
        case ToolCallDelta(), ToolCallDelta() if first.index == second.index:
            return ToolCallDelta(
                first.index,
                first.id + second.id,
                first.name + second.name,
                first.arguments + second.arguments,
                first.tokens + second.tokens,
            )
    return None
