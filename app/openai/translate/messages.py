"""Messages of the wire as messages of the domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.errors import pointer
from app.media.image_source import ImageSource
from app.openai.errors import InvalidParameter
from app.openai.models.messages import ChatMessage, ContentPart
from app.provider.types import (
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

_SEEN_IN = {"user", "tool"}
"""Roles whose messages may have images."""


def image_sources(messages: Sequence[ChatMessage]) -> list[ImageSource]:
    """Where the images of all messages come from, in order; raises InvalidParameter."""
    return [
        _source(part, at, message.role)
        for at, message in enumerate(messages)
        for part in message.parts
        if part.type == "image_url"
    ]


def _source(part: ContentPart, at: int, role: str) -> ImageSource:
    if role not in _SEEN_IN or part.image_url is None:
        raise InvalidParameter(
            pointer("messages", at, "content"), f"A {role} message has no images."
        )
    return ImageSource(url=part.image_url.url, detail=part.image_url.detail)


def domain_messages(
    messages: Sequence[ChatMessage], images: Sequence[ImagePart]
) -> tuple[Message, ...]:
    """The messages; ``images`` are those of their sources, in the same order."""
    left = iter(images)
    return tuple(_message(message, left) for message in messages)


def _message(message: ChatMessage, images: Iterator[ImagePart]) -> Message:
    content = [part for sent in message.parts if (part := _part(sent, images))]
    if message.role == "tool":
        return Message("tool", (_result(message, content),))
    thinking = [ThinkingPart(message.thinking)] if message.thinking else []
    refusal = [TextPart(message.refusal)] if message.refusal and not content else []
    calls = [
        ToolCallPart(call.id, call.function.name, call.function.arguments)
        for call in message.tool_calls or ()
    ]
    return Message(message.role, (*thinking, *content, *refusal, *calls))


def _part(sent: ContentPart, images: Iterator[ImagePart]) -> Part | None:
    match sent.type:
        case "image_url":
            return next(images)
        case "thinking":
            return ThinkingPart(sent.thinking or "")
        case "refusal":
            return TextPart(sent.refusal or "")
        case "text":
            return TextPart(sent.text) if sent.text else None


def _result(message: ChatMessage, content: Sequence[Part]) -> ToolResultPart:
    shown = tuple(part for part in content if isinstance(part, TextPart | ImagePart))
    return ToolResultPart(message.tool_call_id or "", shown)
