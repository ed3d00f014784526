"""Talks to /v1/responses, and checks that all that comes has the documented form and order."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

from app.openai.models.response_objects import ResponseEvent, ResponseObject
from tests.http.openai_wire import Object, checked, error_of

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"

ENDS = {"response.completed", "response.incomplete", "response.failed"}

CALL = '<tool_call>\n{"name": "f", "arguments": {"city": "Paris"}}\n</tool_call>'
"""What the echo engine takes for a call when it repeats it."""

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


def respond(client: httpx.Client, given: Any = "one two three", **options: Any) -> Object:
    body = {"model": "echo", "input": given} | options
    answer = client.post(RESPONSES, json=body)
    assert answer.status_code == 200, answer.text
    return checked(ResponseObject, answer.json())


def retrieved(client: httpx.Client, response: Object | str) -> Object:
    name = response if isinstance(response, str) else response["id"]
    answer = client.get(f"{RESPONSES}/{name}")
    assert answer.status_code == 200, answer.text
    return checked(ResponseObject, answer.json())


def require_stored(client: httpx.Client, made: Object) -> None:
    """What is stored is what was sent; its end is timed where it is stored, a moment earlier."""
    require_same(retrieved(client, made), made)


def require_same(stored: Object, made: Object) -> None:
    """A response as it is stored is the one that was sent, but for the time of its end."""
    assert stored == made | {"completed_at": stored["completed_at"]}
    if made["completed_at"] is not None:
        assert stored["completed_at"] <= made["completed_at"]


def text_of(response: Object) -> str:
    return "".join(
        part["text"]
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


def events_of(text: str) -> list[Object]:
    """The events of a stream, whose names are their types."""
    events = []
    for block in text.split("\n\n"):
        if block and not block.startswith(":"):
            name, data = block.split("\n")
            event = checked(ResponseEvent, json.loads(data.removeprefix("data: ")))
            assert name == f"event: {event['type']}"
            events.append(event)
    return events


def streamed(client: httpx.Client, given: Any = "one two three", **options: Any) -> list[Object]:
    """All events of a response, in an order that the grammar allows."""
    body = {"model": "echo", "input": given, "stream": True} | options
    answer = client.post(RESPONSES, json=body)
    assert answer.status_code == 200, answer.text
    events = events_of(answer.text)
    require_grammar(events)
    return events


def resumed(client: httpx.Client, name: str, after: int | None = None) -> list[Object]:
    query = {"stream": "true"} | ({} if after is None else {"starting_after": str(after)})
    answer = client.get(f"{RESPONSES}/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return events_of(answer.text)


def require_grammar(events: list[Object]) -> None:
    """Numbers without gaps; each item is added, filled and done; the end has the whole of it."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] in ENDS for event in events] == [False] * (len(events) - 1) + [True]
    done: list[Object] = []
    for event in events[2:-1]:
        assert event["output_index"] == len(done)
        if event["type"] == "response.output_item.done":
            done.append(event["item"])
    assert events[-1]["response"]["output"] == done
    for at, item in enumerate(done):
        _require_item(item, [event for event in events[2:-1] if event["output_index"] == at])


def _require_item(item: Object, events: list[Object]) -> None:
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert all(event["item_id"] == item["id"] for event in events[1:-1])
    assert events[0]["item"]["id"] == item["id"]
    deltas = "".join(event["delta"] for event in events if "delta" in event)
    if item["type"] == "function_call":
        first, *pieces, last = kinds
        assert set(pieces[:-1]) == {"function_call_arguments.delta"}
        assert pieces[-1] == "function_call_arguments.done"
        assert deltas == item["arguments"] == events[-2]["arguments"]
    else:
        kind = "output_text" if item["type"] == "message" else "reasoning_text"
        first, begin, *pieces, whole, end, last = kinds
        assert (begin, whole, end) == ("content_part.added", f"{kind}.done", "content_part.done")
        assert set(pieces) <= {f"{kind}.delta"}
        assert deltas == item["content"][0]["text"] == events[-3]["text"]
    assert (first, last) == ("output_item.added", "output_item.done")


def ended(client: httpx.Client, name: str) -> Object:
    """A response in the background, when it has ended."""
    deadline = time.monotonic() + 60
    while (found := retrieved(client, name))["status"] in {"queued", "in_progress"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def refused(client: httpx.Client, param: str | None, code: str | None, **options: Any) -> None:
    answer = client.post(RESPONSES, json={"model": "echo", "input": "hi"} | options)
    assert error_of(answer) == (400, "invalid_request_error", code), answer.text
    assert answer.json()["error"]["param"] == param


def row_ids(name: str) -> list[str]:
    """The ids of rows that an id is made of, as the versions under /api write them."""
    digits = name.partition("_")[2]
    cut = [digits[at : at + 32] for at in range(0, len(digits), 32)]
    return ["-".join((d[:8], d[8:12], d[12:16], d[16:20], d[20:])) for d in cut]
