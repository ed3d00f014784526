"""The data of the events that v4 changes: they say where the answer is stored."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.v1.models.chat import Usage
from app.v2.models import events as v2
from app.v4.models.chat import Context, FinishReason
from app.web.problem_details import StoredProblem
from app.web.schema import WireModel


class StoredMessageEvent(WireModel):
    """``message``: always first."""

    id: str
    conversation_id: str
    message_id: str = Field(description="Of the answer.")
    parent_id: str = Field(description="Of the question.")
    model: str
    template: str | None


class StoredDoneEvent(WireModel):
    """``done``: the answer is complete and stored; nothing follows."""

    finish_reason: FinishReason
    usage: Usage | None
    context: Context


EVENTS: dict[str, type[BaseModel]] = {
    **v2.EVENTS,
    "message": StoredMessageEvent,
    "done": StoredDoneEvent,
    "error": StoredProblem,
}
"""Event name → what its data is."""

STREAM_EXAMPLE = """\
event: message
id: 0
data: {"id":"019e…","conversation_id":"019d…","message_id":"019e…","parent_id":"019d…","model":"starter","template":null}

event: delta
id: 1
data: {"text":"Hello!"}

event: done
id: 2
data: {"finish_reason":"stop","usage":{"prompt_tokens":21,"completion_tokens":3,"cached_tokens":0},"context":{"prompt_tokens":21,"limit":2048,"dropped":[],"summarised":[]}}

"""  # noqa: E501 — an event is one line

STREAM_DOCUMENTATION = v2.stream_documentation(EVENTS, STREAM_EXAMPLE)
