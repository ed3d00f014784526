"""Deltas that carry tokens and no text are nothing to who reads text alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from app.chat.completion import collect
from app.provider.errors import EngineUnavailable
from app.provider.runtime.metrics import ModelMetrics
from app.provider.types import (
    Delta,
    End,
    Event,
    Started,
    ThinkingDelta,
    Token,
    ToolCallDelta,
    Usage,
)
from app.v2.services.events import EventEncoder
from app.web.sse import Shown

ONE, TWO, THREE = (Token(number, b"x", -1.0) for number in range(3))
END = End("stop", Usage(2, 3, 0))


async def stream(*events: Event) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


def test_events_of_v2_to_v5_show_text_only() -> None:
    encoder = EventEncoder({})
    shown: list[Shown] = [
        Delta("a", 0, (ONE,)),
        ThinkingDelta("", (TWO,)),
        ThinkingDelta("hm"),
        Delta("", 0, (TWO,)),
    ]
    text = encoder.start() + "".join(map(encoder.event, shown)) + encoder.event(END)
    assert [line for line in text.splitlines() if line.startswith(("event", "id"))] == [
        "event: message",
        "id: 0",
        "event: delta",
        "id: 1",
        "event: done",
        "id: 2",
    ]
    assert 'data: {"text":"a"}' in text


@pytest.mark.parametrize(
    ("delta", "seen"),
    [
        (Delta("", 0, (ONE,)), 0),
        (ThinkingDelta("", (ONE,)), 0),
        (Delta("a"), 1),
        (ThinkingDelta("a"), 1),
        (ToolCallDelta(0, name="f"), 1),
    ],
)
def test_the_first_text_is_no_empty_one(delta: Event, seen: int) -> None:
    metrics = ModelMetrics()
    with metrics.begin_request() as request:
        request.note(Started(2, 0))
        request.note(delta)
        assert sum(metrics.first_token_seconds._counts) == seen


async def test_a_whole_answer_has_its_thinking_and_its_tokens() -> None:
    answer = await collect(
        stream(
            Started(2, 0),
            ThinkingDelta("h", (ONE,)),
            ThinkingDelta("m"),
            Delta("ye", 0, (TWO,)),
            Delta("s"),
            Delta("", 0, (THREE,)),
            END,
        )
    )
    assert (answer.text, answer.thinking, answer.end) == ("yes", "hm", END)
    assert (answer.tokens, answer.thinking_tokens) == ((TWO, THREE), (ONE,))


@pytest.mark.parametrize("known_before_the_end", [True, False])
async def test_text_that_turned_out_to_be_thinking_is_collected_as_thinking(
    known_before_the_end: bool,
) -> None:
    end = End("stop", Usage(2, 3, 0), retracted=2)
    later = [Delta("yes", 2, (TWO,))] if known_before_the_end else []
    answer = await collect(stream(Delta("hm", 0, (ONE,)), *later, end))
    assert (answer.text, answer.thinking) == ("yes" if later else "", "hm")
    assert answer.thinking_tokens == (ONE,)
    assert answer.tokens == ((TWO,) if later else ())


async def test_an_answer_that_breaks_off_is_none() -> None:
    with pytest.raises(EngineUnavailable):
        await collect(stream(Started(2, 0), Delta("a")))
