"""The data of the events that v6 changes or adds."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.v2.models import events as v2
from app.v4.models import events as v4
from app.v5.models import events as v5
from app.v6.models.chat import FinishReason, ToolCall
from app.web.schema import WireModel


class StoredMessageEvent(v4.StoredMessageEvent):
    """``message``: always first."""

    parent_id: str | None = Field(  # type: ignore[assignment]  # wider
        description="Of the question; null: an imported answer without one."
    )
    model: str | None = Field(  # type: ignore[assignment]  # wider
        description="Null: an imported answer that does not say."
    )
    template: str | None = Field(
        description="The prompt template that is used; null: none, or a stream that was joined."
    )


class ThinkingEvent(WireModel):
    """``thinking``: the next piece of what the model thinks before it answers."""

    text: str


class ToolCallEvent(ToolCall):
    """``tool_call``: a whole call of a tool, just before ``done``."""

    index: int = Field(description="Its place among the calls; one that comes again has the same.")


class ResetEvent(WireModel):
    """``reset``: what came so far is not what is kept; this stands in place of all of it."""

    text: str
    thinking: str


class StoredDoneEvent(v5.StoredDoneEvent):
    """``done``: the answer is complete and stored; nothing follows."""

    finish_reason: FinishReason  # type: ignore[assignment]  # wider: it says of tool calls


EVENTS: dict[str, type[BaseModel]] = {
    **v5.EVENTS,
    "message": StoredMessageEvent,
    "thinking": ThinkingEvent,
    "tool_call": ToolCallEvent,
    "reset": ResetEvent,
    "done": StoredDoneEvent,
}
"""Event name → what its data is."""

STREAM_EXAMPLE = """\
event: message
id: 019e…:0
data: {"id":"019e…","conversation_id":"019d…","message_id":"019e…","parent_id":"019d…","model":"starter","template":null}

event: delta
id: 019e…:6
data: {"text":"Hello!"}

event: done
id: 019e…:6
data: {"finish_reason":"stop","usage":{"prompt_tokens":21,"completion_tokens":3,"cached_tokens":0},"context":{"prompt_tokens":21,"limit":2048,"dropped":[],"summarised":[],"images":[]},"images":[]}

"""  # noqa: E501 — an event is one line

STREAM_DOCUMENTATION = v2.stream_documentation(EVENTS, STREAM_EXAMPLE)
