"""The data of each server-sent event, for the documentation and for clients' type checkers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from app.v1.models.chat import FinishReason, Usage
from app.web.problem_details import Problem
from app.web.schema import WireModel


class MessageEvent(WireModel):
    """``message``: always first."""

    id: str
    model: str


class QueuedEvent(WireModel):
    """``queued``: other requests come first."""

    ahead: int = Field(description="Requests ahead of this one.")


class LoadingEvent(WireModel):
    """``loading``: the model is being loaded."""

    percent: int


class PrefillEvent(WireModel):
    """``prefill``: the model is reading the prompt."""

    done: int = Field(description="Tokens read.")
    total: int | None = Field(None, description="Tokens of the prompt.")


class DeltaEvent(WireModel):
    """``delta``: the next piece of the answer."""

    text: str


class DoneEvent(WireModel):
    """``done``: the answer is complete; nothing follows."""

    finish_reason: FinishReason
    usage: Usage


EVENTS: dict[str, type[BaseModel]] = {
    "message": MessageEvent,
    "queued": QueuedEvent,
    "loading": LoadingEvent,
    "prefill": PrefillEvent,
    "delta": DeltaEvent,
    "done": DoneEvent,
    "error": Problem,
}
"""Event name → what its data is."""


def _event_schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": reference}
    properties = {"event": {"const": name}, "id": {"type": "string"}, "data": data}
    return {"type": "object", "properties": properties, "required": [*properties]}


STREAM_EXAMPLE = """\
event: message
id: 0
data: {"id":"chat-7c1e…","model":"starter"}

event: delta
id: 1
data: {"text":"Hello"}

event: delta
id: 2
data: {"text":"!"}

event: done
id: 3
data: {"finish_reason":"stop","usage":{"prompt_tokens":21,"completion_tokens":3,"cached_tokens":0}}

"""


def stream_documentation(
    events: Mapping[str, type[BaseModel]], example: str
) -> dict[int | str, dict[str, Any]]:
    """How a route that answers with these events is described."""
    schemas = [_event_schema(*event) for event in events.items()]
    content = {"text/event-stream": {"itemSchema": {"oneOf": schemas}, "example": example}}
    return {200: {"description": "Server-sent events", "content": content}}


STREAM_DOCUMENTATION = stream_documentation(EVENTS, STREAM_EXAMPLE)
