"""What becomes of an engine's events in Anthropic's stream, and in a whole answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from app.anthropic.translate.answer import INVALID_JSON, message
from app.anthropic.translate.events import EventEncoder
from app.anthropic.translate.usage import stop_fields
from app.chat.completion import collect
from app.provider.errors import EngineUnavailable
from app.provider.types import (
    Delta,
    End,
    Event,
    Progress,
    Started,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from tests.http.anthropic import assembled, parsed

BEGIN: tuple[Event, ...] = (Progress("loading", 50), Started(10, 4, (), 100))
END = End("stop", Usage(10, 5, 4))
CALLS: tuple[Event, ...] = (
    ToolCallDelta(0, "call_1", "weather"),
    ToolCallDelta(0, arguments='{"city": '),
    ToolCallDelta(0, arguments='"서울"}'),
    ToolCallDelta(1, "call_2", "clock"),
)
ANSWERS: dict[str, tuple[Event, ...]] = {
    "text": (*BEGIN, Delta("Hel"), Delta(""), Delta("lo"), END),
    "nothing": (*BEGIN, Delta(""), END),
    "thinking": (*BEGIN, ThinkingDelta("hm"), ThinkingDelta("m"), Delta("yes"), END),
    "calls": (*BEGIN, Delta("Let me see."), *CALLS, End("tool_calls", Usage(10, 5, 4))),
}


def stream(events: Sequence[Event]) -> str:
    encoder = EventEncoder("model")
    return encoder.start() + "".join(encoder.event(event) for event in events)


async def whole(events: Sequence[Event]) -> dict[str, Any]:
    async def given() -> AsyncGenerator[Event, None]:
        for event in events:
            yield event

    return message("model", await collect(given()))


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_stream_and_a_whole_answer_say_the_same(name: str) -> None:
    pieces = assembled(parsed(stream(ANSWERS[name])))
    collected = await whole(ANSWERS[name])
    assert pieces.pop("id").startswith("msg_")
    assert collected.pop("id").startswith("msg_")
    assert pieces == collected


def test_the_order_of_events() -> None:
    found = [
        (event.name, event.data.get("index"), event.data.get("delta", {}).get("type"))
        for event in parsed(stream(ANSWERS["calls"]))
    ]
    assert found == [
        ("ping", None, None),
        ("message_start", None, None),
        ("content_block_start", 0, None),
        ("content_block_delta", 0, "text_delta"),
        ("content_block_stop", 0, None),
        ("content_block_start", 1, None),
        ("content_block_delta", 1, "input_json_delta"),
        ("content_block_delta", 1, "input_json_delta"),
        ("content_block_stop", 1, None),
        ("content_block_start", 2, None),
        ("content_block_stop", 2, None),
        ("message_delta", None, None),
        ("message_stop", None, None),
    ]


async def test_calls_have_their_input() -> None:
    message = await whole(ANSWERS["calls"])
    assert message["stop_reason"] == "tool_use"
    assert message["content"][1:] == [
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "서울"}},
        {"type": "tool_use", "id": "call_2", "name": "clock", "input": {}},
    ]


async def test_input_that_was_cut_off_is_not_lost() -> None:
    events = (*BEGIN, *CALLS[:2], End("length", Usage(10, 5, 4)))
    message = await whole(events)
    assert message["content"][0]["input"] == {INVALID_JSON: '{"city": '}
    assert message["stop_reason"] == "max_tokens"


def test_the_first_event_has_the_usage_of_the_prompt() -> None:
    first = next(event for event in parsed(stream(ANSWERS["text"])) if event.name != "ping")
    assert first.data["message"]["usage"] == {
        "input_tokens": 6,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 0,
    }


def test_thinking_is_signed_before_its_block_ends() -> None:
    deltas = [
        event.data["delta"]
        for event in parsed(stream(ANSWERS["thinking"]))
        if event.name == "content_block_delta"
    ]
    kinds = ["thinking_delta", "thinking_delta", "signature_delta", "text_delta"]
    assert [delta["type"] for delta in deltas] == kinds
    assert deltas[2]["signature"]


@pytest.mark.parametrize(
    ("end", "reason", "stop"),
    [
        (End("stop", Usage(10, 5, 0)), "end_turn", None),
        (End("stop", Usage(10, 5, 0), stop_string="끝"), "stop_sequence", "끝"),
        (End("length", Usage(10, 5, 0)), "max_tokens", None),
        (End("length", Usage(10, 90, 0)), "model_context_window_exceeded", None),
        (End("tool_calls", Usage(10, 5, 0)), "tool_use", None),
        (End("tool_calls", Usage(10, 5, 0), stop_string="끝"), "tool_use", None),
    ],
)
def test_why_it_ended(end: End, reason: str, stop: str | None) -> None:
    fields = {"stop_reason": reason, "stop_sequence": stop}
    assert stop_fields(end, Started(10, 0, (), 100)) == fields


def test_an_error_is_an_event() -> None:
    encoder = EventEncoder("model")
    events = parsed(
        encoder.event(Started(1, 0)) + encoder.error(EngineUnavailable("Gone.", 1.0), "r1")
    )
    assert events[-1] == (
        "error",
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "Gone."},
            "request_id": "r1",
        },
    )
