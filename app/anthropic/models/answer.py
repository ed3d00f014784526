"""What ``/v1/messages`` and ``/v1/messages/count_tokens`` give."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"
]


class TextContent(BaseModel):
    """Text of the answer."""

    type: Literal["text"]
    text: str


class ThinkingContent(BaseModel):
    """What the model thought before it answered."""

    type: Literal["thinking"]
    thinking: str
    signature: str = Field(description="Some letters, for clients that want any.")


class ToolUseContent(BaseModel):
    """A call of a tool, to be answered with a `tool_result` block of its id."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any] = Field(
        description='`{"INVALID_JSON": text}` where the answer was cut off in it.'
    )


Content = Annotated[TextContent | ThinkingContent | ToolUseContent, Field(discriminator="type")]


class DeltaUsage(BaseModel):
    """Tokens so far. The prompt has ``input_tokens`` and ``cache_read_input_tokens``."""

    input_tokens: int = Field(description="Of the prompt, those read anew.")
    cache_creation_input_tokens: int = Field(description="Always 0: all that is read is kept.")
    cache_read_input_tokens: int = Field(description="Of the prompt, those computed before.")
    output_tokens: int


class AnswerMessage(BaseModel):
    """A whole answer."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str = Field(description="The id of the model that answered.")
    content: list[Content]
    stop_reason: StopReason | None
    stop_sequence: str | None = Field(description="Which of `stop_sequences` ended the answer.")
    usage: DeltaUsage


class TokenCount(BaseModel):
    """How long a prompt is."""

    input_tokens: int
