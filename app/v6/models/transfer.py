"""A conversation with all of its messages as a file: version 3 of what v4 exports.

A conversation without thinking, tools and developer messages is still version 1 or 2.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.v4.models.chat import Id
from app.v5.models import transfer as v5
from app.v6.models.chat import FinishReason
from app.web.schema import Plain, WireModel


class TransferredText(WireModel):
    """A stretch of text."""

    type: Literal["text"]
    text: Plain


class TransferredImagePart(WireModel):
    """The place of the next one of `images`."""

    type: Literal["image"]


class TransferredThinking(WireModel):
    """What the model thought."""

    type: Literal["thinking"]
    text: Plain


class TransferredCall(WireModel):
    """A call of a tool."""

    type: Literal["tool_call"]
    id: Plain
    name: Plain
    arguments: Plain


Content = Annotated[TransferredText | TransferredImagePart, Field(discriminator="type")]


class TransferredResult(WireModel):
    """What a call returned."""

    type: Literal["tool_result"]
    call_id: Plain
    content: list[Content]
    is_error: bool = False


Part = Annotated[
    TransferredText
    | TransferredImagePart
    | TransferredThinking
    | TransferredCall
    | TransferredResult,
    Field(discriminator="type"),
]


class TransferredMessage(v5.TransferredMessage):
    """A message; those it follows stand before it."""

    role: Literal["user", "assistant", "tool", "developer"]  # type: ignore[assignment]  # wider
    finish_reason: FinishReason | None = None  # type: ignore[assignment]  # wider
    previous_id: Id | None = Field(
        None, description="The message directly before it, if that calls tools or is theirs."
    )
    parts: list[Part] = Field(
        [], description="All of it in order; left out where it is pictures and one text."
    )


class TransferredConversation(v5.TransferredConversation):
    """A tree of messages."""

    # The list is never changed, so its items may have another type than those of v5.
    messages: list[TransferredMessage] = Field(  # type: ignore[assignment]
        description="Of all branches, parents first."
    )


class Transfer(v5.Transfer):
    """The file."""

    # Wider than in the base class: an import accepts all versions.
    version: Literal[1, 2, 3] = Field(  # type: ignore[assignment]
        description="2 where there are pictures, 3 where there is more than questions and answers."
    )
    conversation: TransferredConversation


_MOMENT = "2026-08-01T12:00:00.000Z"


def _with_tools() -> dict[str, Any]:
    file: dict[str, Any] = v5.EXAMPLES["brief"]["value"]
    question, answer = file["conversation"]["messages"]
    call = {"type": "tool_call", "id": "c1", "name": "manual", "arguments": "{}"}
    text = {"type": "text", "text": "POST to /api/v6/chat/stream."}
    result = {"type": "tool_result", "call_id": "c1", "content": [text]}
    behind = {"parent_id": question["id"], "created_at": _MOMENT}
    calls = {"id": "3", "role": "assistant", "content": "", "parts": [call], **behind}
    results = {"id": "4", "role": "tool", "content": "", "parts": [result], **behind}
    messages = [question, calls, results | {"previous_id": "3"}, answer | {"previous_id": "4"}]
    return file | {"version": 3, "conversation": file["conversation"] | {"messages": messages}}


EXAMPLES: dict[str, Any] = {
    **v5.EXAMPLES,
    "tools": {"summary": "With a tool call", "value": _with_tools()},
}
"""Bodies that work as they are."""
