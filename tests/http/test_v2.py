from __future__ import annotations

from typing import Any

import httpx

from tests.http.events import SentEvent, parsed


def stream(echo: httpx.Client, **body: Any) -> list[SentEvent]:
    answer = echo.post("/api/v2/chat/stream", json={"message": "one two three"} | body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    return parsed(answer.text)


def test_events_come_in_the_documented_order(echo: httpx.Client) -> None:
    events = stream(echo)
    names = [event.name for event in events if event.name not in {"queued", "loading", "prefill"}]
    assert (names[0], {*names[1:-1]}, names[-1]) == ("message", {"delta"}, "done")
    assert events[0].name == "message"
    assert [event.id for event in events] == [str(number) for number in range(len(events))]


def test_the_pieces_are_the_whole_answer(echo: httpx.Client) -> None:
    text = "안녕 👩‍👩‍👧‍👦\n\nevent: done\ndata: {}\n\n 끝 <b>"
    events = stream(echo, message=text)
    assert "".join(event.data["text"] for event in events if event.name == "delta") == text
    whole = echo.post("/api/v2/chat", json={"message": text}).json()
    assert whole["message"]["content"] == text
    done = events[-1].data
    assert done["finish_reason"] == whole["finish_reason"]
    assert done["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]


def test_message_and_done_have_exactly_the_documented_fields(echo: httpx.Client) -> None:
    first, *_, last = stream(echo, max_tokens=1)
    assert first.data.keys() == {"id", "model"}
    assert first.data["model"] == "echo"
    assert last.data.keys() == {"finish_reason", "usage"}
    assert last.data["finish_reason"] == "length"
    assert last.data["usage"].keys() == {"prompt_tokens", "completion_tokens", "cached_tokens"}


def test_an_early_refusal_is_a_normal_error(echo: httpx.Client) -> None:
    answer = echo.post("/api/v2/chat/stream", json={"message": "many words " * 5000})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["code"] == "context-length-exceeded"
    assert problem["needed"] > problem["limit"]


def test_v2_has_everything_v1_has(echo: httpx.Client) -> None:
    assert echo.get("/api/v2/models").json() == echo.get("/api/v1/models").json()
    assert echo.post("/api/v2/chat", json={"message": "hi"}).status_code == 200
