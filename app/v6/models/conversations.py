"""What ``/conversations`` takes and gives from v6 on: all messages, with all of their parts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.v4.models.chat import Id
from app.v5.models import conversations as v5
from app.v6.models.chat import FinishReason, RegenerateRequest, ToolCall
from app.web.schema import LONGEST_TEXT, Plain, WireModel

MOST_RESULTS = 256


class ToolResult(WireModel):
    """What a tool call returned, or why it failed."""

    call_id: Id = Field(description="The `id` of the call.")
    content: Annotated[Plain, Field(max_length=LONGEST_TEXT)]
    is_error: bool = Field(False, description="The call failed, and this says why.")


class ToolResultsRequest(RegenerateRequest):
    """The results of the tool calls of a message; the model goes on with them."""

    results: Annotated[list[ToolResult], Field(min_length=1, max_length=MOST_RESULTS)] = Field(
        description="One for each of the calls."
    )


class StoredMessage(v5.StoredMessage):
    """A question, an answer, tool calls, tool results, or a later system text."""

    parent_id: str | None = Field(
        description="The question or answer before it; null: a first question."
    )
    previous_id: str | None = Field(
        description="The message directly before it, also where that is of tools or a developer."
    )
    role: Literal["user", "assistant", "tool", "developer"]  # type: ignore[assignment]  # wider
    finish_reason: FinishReason | None  # type: ignore[assignment]  # wider
    listed: bool = Field(
        description="Whether it is a question or the text of an answer, which v4 and v5 list too. "
        "Only such messages have branches."
    )
    thinking: str = Field(description="What the model thought before; empty: nothing.")
    tool_calls: list[ToolCall] = Field(description="What the client was to run.")
    tool_results: list[ToolResult] = Field(description="What came of it.")


class ConversationMessages(v5.ConversationMessages):
    """A conversation and a page of its messages, oldest first."""

    # The list is never changed, so its items may have another type than those of v5.
    messages: list[StoredMessage]  # type: ignore[assignment]
