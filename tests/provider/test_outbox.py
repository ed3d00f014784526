"""What waits to be sent is joined, and nothing of it is lost or changes its place."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.provider.runtime.messages import Outcome
from app.provider.runtime.outbox import Outbox
from app.provider.types import (
    AnyDelta,
    Delta,
    End,
    Progress,
    Started,
    ThinkingDelta,
    Token,
    ToolCallDelta,
    Usage,
)

TEXTS = st.text(max_size=3)
TOKENS = st.lists(st.builds(Token, st.integers(0, 9), st.binary(max_size=2), st.just(-1.0))).map(
    tuple
)
EVENTS = st.one_of(
    st.builds(Delta, TEXTS, st.sampled_from([0, 0, 0, 4]), TOKENS),
    st.builds(ThinkingDelta, TEXTS, TOKENS),
    st.builds(ToolCallDelta, st.integers(0, 1), TEXTS, TEXTS, TEXTS, TOKENS),
    st.builds(Progress, st.just("prefill"), st.integers(0, 3)),
)
Fact = tuple[object, ...]


def kind(event: Outcome) -> Fact:
    """What tells neighbours apart that are not joined."""
    if isinstance(event, Delta):
        return Delta, event.retracted
    return (ToolCallDelta, event.index) if isinstance(event, ToolCallDelta) else (type(event),)


def facts(events: list[Outcome]) -> list[Fact]:
    """What a client reads of the events, cut into the smallest pieces, in order."""
    found: list[Fact] = []
    for event in events:
        if not isinstance(event, AnyDelta):
            found.append((event,))
            continue
        named = {name: value for name, value in event.as_dict().items() if isinstance(value, str)}
        found += [(kind(event), name, one) for name, text in named.items() for one in text]
        found += [(kind(event), "token", token) for token in event.tokens]
    return found


def ordered(events: list[Outcome], name: str) -> list[Fact]:
    return [fact for fact in facts(events) if len(fact) < 3 or fact[1] == name]


@settings(max_examples=150)  # those of the profile are few, for requests
@given(st.lists(st.tuples(st.integers(0, 1), EVENTS), max_size=12))
def test_joining_loses_nothing_and_keeps_the_order(sent: list[tuple[int, Outcome]]) -> None:
    outbox = Outbox()
    for event in sent:
        outbox.add([event])
    taken = outbox.take()
    for job in (0, 1):
        before, after = (
            [one for number, one in events if number == job] for events in (sent, taken)
        )
        for name in ("text", "id", "name", "arguments", "token"):
            assert ordered(after, name) == ordered(before, name)
        joinable = [
            (one, other)
            for one, other in pairwise(after)
            if isinstance(one, AnyDelta) and kind(one) == kind(other)
        ]
        assert not joinable
    assert not outbox.take()


def test_only_deltas_wait_for_the_next_frame() -> None:
    outbox = Outbox()
    outbox.take()
    outbox.add([(0, Delta("a")), (0, ThinkingDelta("b")), (0, ToolCallDelta(0, "c"))])
    assert not outbox._urgent
    outbox.add([(0, End("stop", Usage(1, 1, 0)))])
    assert outbox.due()


def test_the_first_delta_of_an_answer_does_not_wait() -> None:
    outbox = Outbox()
    outbox.add([(0, Started(1, 0)), (1, Delta("b"))])
    outbox.take()
    outbox.add([(1, Delta("b"))])
    assert not outbox._urgent
    outbox.add([(0, Delta("a"))])
    assert outbox.due()
    outbox.take()
    outbox.add([(0, Delta("a"))])
    assert not outbox._urgent


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "cancelled"])
def test_a_job_that_is_over_before_its_first_delta_is_forgotten(ends: bool) -> None:
    outbox = Outbox()
    outbox.add([(0, Started(1, 0))])
    if ends:
        outbox.add([(0, End("stop", Usage(1, 0, 0)))])
    else:
        outbox.forget(0)
    outbox.take()
    outbox.add([(0, Delta("a"))])
    assert not outbox._urgent
