"""The data of each server-sent event, for the documentation and for clients' type checkers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.anthropic.models.answer import AnswerMessage, Content, DeltaUsage, StopReason
from app.anthropic.models.errors import ErrorAnswer


class MessageStart(BaseModel):
    """The first but for ``ping``: a message without content, with the usage of the prompt."""

    type: Literal["message_start"]
    message: AnswerMessage


class ContentBlockStart(BaseModel):
    """A block begins, empty."""

    type: Literal["content_block_start"]
    index: int
    content_block: Content


class TextDelta(BaseModel):
    """More text."""

    type: Literal["text_delta"]
    text: str


class InputJsonDelta(BaseModel):
    """More of the input of a tool, which is JSON when all of it is there."""

    type: Literal["input_json_delta"]
    partial_json: str


class ThinkingDelta(BaseModel):
    """More thinking."""

    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(BaseModel):
    """The last of a block of thinking."""

    type: Literal["signature_delta"]
    signature: str


BlockDelta = Annotated[
    TextDelta | InputJsonDelta | ThinkingDelta | SignatureDelta, Field(discriminator="type")
]


class ContentBlockDelta(BaseModel):
    """A piece of the block."""

    type: Literal["content_block_delta"]
    index: int
    delta: BlockDelta


class ContentBlockStop(BaseModel):
    """The block is complete."""

    type: Literal["content_block_stop"]
    index: int


class MessageEnding(BaseModel):
    """Why the answer ended."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(BaseModel):
    """All blocks are complete."""

    type: Literal["message_delta"]
    delta: MessageEnding
    usage: DeltaUsage


class MessageStop(BaseModel):
    """Nothing follows."""

    type: Literal["message_stop"]


class Ping(BaseModel):
    """The request waits, the model is being loaded, or it reads the prompt."""

    type: Literal["ping"]


EVENTS: dict[str, type[BaseModel]] = {
    "message_start": MessageStart,
    "content_block_start": ContentBlockStart,
    "content_block_delta": ContentBlockDelta,
    "content_block_stop": ContentBlockStop,
    "message_delta": MessageDelta,
    "message_stop": MessageStop,
    "ping": Ping,
    "error": ErrorAnswer,
}
"""Event name → what its data is."""

EXAMPLE = """\
event: message_start
data: {"type":"message_start","message":{"id":"msg_7c1e…","type":"message","role":"assistant",\
"model":"starter","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":21,\
"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello!"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":\
{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}}

event: message_stop
data: {"type":"message_stop"}

"""


def stream_content() -> Mapping[str, Any]:
    """How a route that answers with these events is described."""
    schemas = [_schema(*event) for event in EVENTS.items()]
    return {"itemSchema": {"oneOf": schemas}, "example": EXAMPLE}


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": reference}
    properties = {"event": {"const": name}, "data": data}
    return {"type": "object", "properties": properties, "required": [*properties]}
