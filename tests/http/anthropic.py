"""Asks in Anthropic's dialect, and reads its streams as strictly as its SDKs' types are."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import httpx

from app.anthropic.models.answer import AnswerMessage
from app.anthropic.models.events import EVENTS

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"

USER = {"role": "user", "content": "one two three"}


def body(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A request; without messages it is the usual question."""
    return {"max_tokens": 100, "messages": [*messages] or [USER]} | options


def asked(client: httpx.Client, *messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A whole answer, which has the documented form."""
    answer = client.post(MESSAGES, json=body(*messages, **options))
    assert answer.status_code == 200, answer.text
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    found: dict[str, Any] = answer.json()
    AnswerMessage.model_validate(found, strict=True, extra="forbid")
    return found


def text_of(message: dict[str, Any]) -> str:
    """The text of an answer that is only text."""
    assert [block["type"] for block in message["content"]] == ["text"]
    text: str = message["content"][0]["text"]
    return text


class StreamedEvent(NamedTuple):
    """A server-sent event."""

    name: str
    data: dict[str, Any]


def parsed(text: str) -> list[StreamedEvent]:
    """The events of a stream, each of the documented form."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [_event(block) for block in blocks]


def _event(block: str) -> StreamedEvent:
    name, data = block.split("\n")
    event = StreamedEvent(name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
    assert event.data["type"] == event.name
    EVENTS[event.name].model_validate(event.data, strict=True, extra="forbid")
    return event


def assembled(events: list[StreamedEvent]) -> dict[str, Any]:
    """The message that the events of a whole stream make, in the order that SDKs insist on."""
    begun, *between, last = [event for event in events if event.name != "ping"]
    assert (begun.name, last.name) == ("message_start", "message_stop")
    message: dict[str, Any] = begun.data["message"]
    assert (message["content"], message["stop_reason"]) == ([], None)
    *blocks, ending = between
    assert ending.name == "message_delta"
    for event in blocks:
        _add(message["content"], event)
    assert all("partial" not in block for block in message["content"])
    for block in message["content"]:
        assert block.pop("closed")
    message |= ending.data["delta"] | {"usage": ending.data["usage"]}
    return message


def _add(content: list[dict[str, Any]], event: StreamedEvent) -> None:
    """Only the last block is open, and only once."""
    index = event.data["index"]
    if event.name == "content_block_start":
        assert index == len(content)
        assert not content or content[-1]["closed"]
        content.append(event.data["content_block"] | {"closed": False})
        return
    assert index == len(content) - 1
    block = content[index]
    assert not block["closed"]
    if event.name == "content_block_stop":
        block["closed"] = True
        if block["type"] == "tool_use":
            block["input"] = json.loads(block.pop("partial", None) or "{}")
    else:
        _grow(block, event.data["delta"])


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"], block["type"]:
        case "text_delta", "text":
            block["text"] += delta["text"]
        case "thinking_delta", "thinking":
            block["thinking"] += delta["thinking"]
        case "signature_delta", "thinking":
            block["signature"] = delta["signature"]
        case "input_json_delta", "tool_use":
            block["partial"] = block.get("partial", "") + delta["partial_json"]
        case other:
            raise AssertionError(other)


def streamed(client: httpx.Client, *messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The message that a stream makes."""
    answer = client.post(MESSAGES, json=body(*messages, **options) | {"stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"].startswith("text/event-stream")
    return assembled(parsed(answer.text))


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, type and message of an error that is whole."""
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found.keys() == {"type", "error", "request_id"}
    assert found["type"] == "error"
    assert found["error"].keys() == {"type", "message"}
    assert found["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    assert len(answer.headers.get_list("request-id")) == 1
    return answer.status_code, found["error"]["type"], found["error"]["message"]
