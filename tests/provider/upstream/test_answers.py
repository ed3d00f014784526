"""What servers answer, chunk by chunk, and the errors that they say in their own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.provider.engines.upstream.answer import AnswerReader
from app.provider.engines.upstream.event_stream import EventLines
from app.provider.engines.upstream.refusals import refusal_of
from app.provider.errors import ContextOverflow, EngineBusy, EngineUnavailable, UnsupportedInput
from app.provider.types import (
    Delta,
    End,
    Event,
    Message,
    Progress,
    Prompt,
    Sampling,
    Started,
    ThinkingDelta,
    ToolCallDelta,
)

ASKED = Prompt((Message.of("user", "Hello"),), Sampling(stop=("END",)), thinking=True)


def read(*deltas: dict[str, Any], reason: str = "stop", **last: Any) -> list[Event]:
    """The events of a stream of deltas."""
    reader = AnswerReader("box", ASKED, 4096, cached_when_absent=False)
    events: list[Event] = []
    for delta in deltas:
        events += reader.chunk({"choices": [{"delta": delta}]})
    events += reader.chunk({"choices": [{"delta": {}, "finish_reason": reason, **last}]})
    return [*events, *reader.end()]


def calls(events: list[Event]) -> list[tuple[int, str, str, str]]:
    found = [one for one in events if isinstance(one, ToolCallDelta)]
    return [(one.index, one.id, one.name, one.arguments) for one in found]


def call(name: str = "", arguments: str = "", **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": name, "arguments": arguments}, **more}]}


def test_pieces_of_calls_belong_together_without_an_index_too() -> None:
    with_index = read(
        call("f", index=0, id="a"),
        call("", '{"x"', index=0),
        call("", ": 1}", index=0),
        call("g", "{}", index=1, id="b"),
        reason="tool_calls",
    )
    without = read(call("f", id="a"), call("", '{"x"'), call("", ": 1}"), call("g", "{}", id="b"))
    expected = [(0, "a", "f", ""), (0, "", "", '{"x"'), (0, "", "", ": 1}"), (1, "b", "g", "{}")]
    assert calls(with_index) == calls(without) == expected
    for events in (with_index, without):  # some say "stop" after calls
        assert isinstance(events[-1], End)
        assert events[-1].reason == "tool_calls"


def test_several_calls_with_one_index_are_told_apart_by_their_ids() -> None:
    events = read(call("f", "{}", index=0, id="a"), call("g", "{}", index=0, id="b"))
    assert calls(events) == [(0, "a", "f", "{}"), (1, "b", "g", "{}")]
    ((_, made, _, _),) = calls(read(call("f", "{}")))
    assert made.startswith("call_")


def test_arguments_that_are_an_object_become_its_text() -> None:
    ((_, _, _, arguments),) = calls(
        read({"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]})
    )
    assert json.loads(arguments) == {"x": 1}


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thinking_has_two_names(field: str) -> None:
    events = read({field: "Hm"}, {"content": "Yes"})
    assert [type(one) for one in events] == [Started, ThinkingDelta, Delta, End]


@pytest.mark.parametrize("field", ["matched_stop", "stop_reason"])
def test_the_stop_text_that_ended_it_is_known(field: str) -> None:
    end = read({"content": "x"}, **{field: "END"})[-1]
    assert isinstance(end, End)
    assert end.stop_string == "END"
    last: dict[str, Any] = {field: 7}
    other = read({"content": "x"}, **last)[-1]
    assert isinstance(other, End)
    assert other.stop_string == ""


def test_the_progress_of_a_prompt_is_shown_and_counts_its_tokens() -> None:
    reader = AnswerReader("box", ASKED, 4096, cached_when_absent=False)
    events = list(
        reader.chunk(
            {
                "choices": [{"delta": {"role": "assistant", "content": None}}],
                "prompt_progress": {"total": 100, "cache": 10, "processed": 50},
            }
        )
    )
    events += reader.chunk({"choices": [{"delta": {"content": "x"}}]})
    assert events[0] == Progress("prefill", 50, 100)
    assert events[1] == Started(100, 0, context_length=4096)


def test_log_probabilities_of_both_forms() -> None:
    top = [{"token": "a", "logprob": -0.1, "bytes": [97]}, {"token": "b", "logprob": -2}]
    chat = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": top}]}
    plain = {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"a": -0.1, "b": -2}]}
    for logprobs in (chat, plain):
        reader = AnswerReader("box", ASKED, 4096, cached_when_absent=False)
        chunk = {"choices": [{"delta": {"content": "a"}, "logprobs": logprobs}]}
        (delta,) = [one for one in reader.chunk(chunk) if isinstance(one, Delta)]
        (token,) = delta.tokens
        assert (token.piece, token.logprob) == (b"a", -0.1)
        assert [(one.piece, one.logprob) for one in token.top] == [(b"a", -0.1), (b"b", -2.0)]


OVERFLOWS = [
    ("The prompt is too long: 5000 tokens > 4096 maximum.", 5000),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 4100 tokens "
        "(100 in the messages, 4000 in the completion).",
        100,
    ),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 9 output "
        "tokens and your prompt contains at least 5000 input tokens, for a total of 5009 tokens.",
        5000,
    ),
    (
        "This model's maximum context length is 4096 tokens. However, your messages resulted in "
        "5000 tokens.",
        5000,
    ),
    (
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        5000,
    ),
    ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 5000),
    (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
        "requested a total of 5009 tokens: 5000 tokens from the input messages and 9 tokens for "
        "the completion.",
        5000,
    ),
    ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 5000),
    (
        "Trying to keep the first 5000 tokens when context the overflows. However, the model is "
        "loaded with context length of only 4096 tokens",
        5000,
    ),
]


@pytest.mark.parametrize(("words", "needed"), OVERFLOWS)
def test_every_server_says_in_its_words_that_a_prompt_is_too_long(words: str, needed: int) -> None:
    error = refused(400, {"error": {"message": words, "type": "BadRequestError"}})
    assert isinstance(error, ContextOverflow)
    assert (error.needed, error.limit) == (needed, 4096)


def refused(status: int, body: Any, retry_after: str = "") -> Exception:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refusal_of("box", status, content, retry_after).error()


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "No"}},
        {"error": "No"},
        {"message": "No"},
        {"detail": "No"},
        {"object": "error", "message": "No", "code": 400},
        b"No",
    ],
)
def test_the_words_of_a_refusal_are_found_wherever_they_stand(body: Any) -> None:
    error = refused(400, body)
    assert isinstance(error, UnsupportedInput)
    assert str(error) == "The server box refused the request: No."


def test_what_a_stranger_writes_is_cut_and_one_line() -> None:
    error = refused(400, {"error": {"message": "a\nb\x00" + "x" * 99_999}})
    assert len(str(error)) < 600
    assert str(error).isprintable()
    assert str(refused(500, b"\xff\xfe<html>")).startswith("The server box failed")
    assert str(refused(400, b"[" * 100_000)).startswith("The server box refused")


def test_a_date_as_retry_after_is_the_usual_time() -> None:
    busy = refused(429, {}, "Wed, 21 Oct 2026 07:28:00 GMT")
    assert isinstance(busy, EngineBusy)
    assert busy.retry_after == 5.0


def test_events_are_cut_wherever_their_bytes_are() -> None:
    sent = (
        'data: {"a": "é"}\r\n\r\n: alive\n\nevent: x\ndata:{"b":1}\n\ndata: [DONE]\n\ndata: 7\n\n'
    )
    for size in range(1, 12):
        lines = EventLines("box")
        data = sent.encode()
        found = [
            value for at in range(0, len(data), size) for value in lines.push(data[at : at + size])
        ]
        assert found == [{"a": "é"}, {"b": 1}]
        assert lines.done


def test_an_answer_needs_a_reason_to_end() -> None:
    reader = AnswerReader("box", ASKED, 4096, cached_when_absent=False)
    list(reader.chunk({"choices": [{"delta": {"content": "x"}}]}))
    with pytest.raises(EngineUnavailable, match="without a reason"):
        list(reader.end())
