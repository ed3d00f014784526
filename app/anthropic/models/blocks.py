"""Blocks of content that a request may hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from app.anthropic.models.fields import Ignored, LongText, Name, as_blocks
from app.web.schema import JsonObject, Plain, WireModel


class TextBlock(WireModel):
    """Text."""

    type: Literal["text"]
    text: LongText
    cache_control: Ignored = None
    citations: Ignored = None


class Base64Source(WireModel):
    """A picture as the base64 of its file."""

    type: Literal["base64"]
    media_type: Annotated[Plain, Field(max_length=100)]
    data: str


class UrlSource(WireModel):
    """A picture that is fetched, if the setting IMAGE_URLS allows it; or a data: URL."""

    type: Literal["url"]
    url: str


class ImageBlock(WireModel):
    """A picture: JPEG, PNG, WebP, BMP or GIF."""

    type: Literal["image"]
    source: Annotated[Base64Source | UrlSource, Field(discriminator="type")]
    cache_control: Ignored = None
    transformations: Ignored = None


ResultContent = Annotated[TextBlock | ImageBlock, Field(discriminator="type")]


class ToolResultBlock(WireModel):
    """What a tool returned for the ``tool_use`` block of that id."""

    type: Literal["tool_result"]
    tool_use_id: Name
    content: Annotated[
        list[ResultContent],
        BeforeValidator(as_blocks, json_schema_input_type=LongText | list[ResultContent]),
    ] = Field([])
    is_error: bool = Field(False, description="Whether the tool failed.")
    cache_control: Ignored = None
    toolset_name: Ignored = None


class ToolUseBlock(WireModel):
    """A call of a tool by the model."""

    type: Literal["tool_use"]
    id: Name
    name: Name
    input: JsonObject
    cache_control: Ignored = None
    caller: Ignored = None
    toolset_name: Ignored = None


class ThinkingBlock(WireModel):
    """What the model thought before it answered; its signature is not checked."""

    type: Literal["thinking"]
    thinking: LongText
    signature: Ignored = None


class RedactedThinkingBlock(WireModel):
    """Thinking that only Anthropic's servers can read: it is left out."""

    type: Literal["redacted_thinking"]
    data: Ignored = None


UserBlock = Annotated[TextBlock | ImageBlock | ToolResultBlock, Field(discriminator="type")]

AssistantBlock = Annotated[
    TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock, Field(discriminator="type")
]

TextBlocks = Annotated[
    list[TextBlock], BeforeValidator(as_blocks, json_schema_input_type=LongText | list[TextBlock])
]
"""Blocks of text, or a string."""


class UserMessage(WireModel):
    """What the user says, with results of tools."""

    role: Literal["user"]
    content: Annotated[
        list[UserBlock],
        BeforeValidator(as_blocks, json_schema_input_type=LongText | list[UserBlock]),
    ]


class AssistantMessage(WireModel):
    """What the model said before."""

    role: Literal["assistant"]
    content: Annotated[
        list[AssistantBlock],
        BeforeValidator(as_blocks, json_schema_input_type=LongText | list[AssistantBlock]),
    ]


class SystemMessage(WireModel):
    """Instructions that came later than ``system``."""

    role: Literal["system"]
    content: TextBlocks


Message = Annotated[UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")]
