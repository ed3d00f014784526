"""A conversation as a file: what export gives and import takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.v3.models.template import Template, Value
from app.v4.models.chat import FinishReason, Id
from app.v4.models.conversations import Status, Title
from app.web.schema import LONGEST_TEXT, WHOLE, Plain, WireModel
from app.web.timestamps import Moment

FORMAT = "sllm-conversation"

ModelName = Annotated[Plain, Field(min_length=1, max_length=200)]

Count = Annotated[int, Field(ge=0, lt=2**53), WHOLE]


class ExportQuery(BaseModel):
    """What follows the question mark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["json", "markdown"] = Field(
        "json", description="Everything, to be imported again; or the active branch, to be read."
    )


class TransferredUsage(WireModel):
    """Tokens of one exchange."""

    prompt_tokens: Count
    completion_tokens: Count
    cached_tokens: Count


class TransferredContext(WireModel):
    """What of the conversation the model was shown."""

    prompt_tokens: Count
    limit: Count
    dropped: list[Id]
    summarised: list[Id]


class TransferredMessage(WireModel):
    """A question or an answer; those it follows stand before it."""

    id: Id = Field(description="For references inside the file; an import gives another.")
    parent_id: Id | None = Field(None, description="The message before it.")
    role: Literal["user", "assistant"]
    status: Status = Field("complete", description="An import makes stopped of generating.")
    content: Plain
    prompt: Plain | None = Field(
        None, description="What the model reads in place of a question that a template has wrapped."
    )
    model: ModelName | None = None
    finish_reason: FinishReason | None = None
    usage: TransferredUsage | None = None
    context: TransferredContext | None = None
    error: Plain | None = None
    created_at: Moment
    finished_at: Moment | None = None


class TransferredSetup(WireModel):
    """What the conversation keeps to; the template is a copy."""

    model: ModelName | None = None
    template: Template | None = None
    variables: Annotated[
        dict[Annotated[Plain, Field(max_length=200)], Value], Field(max_length=64)
    ] = Field(default_factory=dict)
    system: Annotated[Plain, Field(max_length=LONGEST_TEXT)] | None = None


class TransferredConversation(WireModel):
    """A tree of messages."""

    title: Title
    created_at: Moment
    updated_at: Moment
    active_leaf_id: Id | None = Field(description="Null only where there are no messages.")
    setup: TransferredSetup = Field(default_factory=TransferredSetup)
    messages: list[TransferredMessage] = Field(description="Of all branches, parents first.")


class Transfer(WireModel):
    """The file."""

    format: Literal["sllm-conversation"]
    version: Literal[1]
    exported_at: Moment
    conversation: TransferredConversation


_MOMENT = "2026-08-01T12:00:00.000Z"

IMPORT_EXAMPLES: dict[str, Any] = {
    "brief": {
        "summary": "What came from elsewhere",
        "value": {
            "format": FORMAT,
            "version": 1,
            "exported_at": _MOMENT,
            "conversation": {
                "title": "Streaming, explained",
                "created_at": _MOMENT,
                "updated_at": _MOMENT,
                "active_leaf_id": "2",
                "messages": [
                    {
                        "id": "1",
                        "role": "user",
                        "content": "How do I stream answers?",
                        "created_at": _MOMENT,
                    },
                    {
                        "id": "2",
                        "parent_id": "1",
                        "role": "assistant",
                        "content": "POST to /api/v4/chat/stream.",
                        "created_at": _MOMENT,
                    },
                ],
            },
        },
    },
}
"""Bodies that work as they are."""
