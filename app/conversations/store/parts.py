"""Parts of messages as plain JSON values, and back.

A message that is one text, after images or without, has no such values: its row says it all. Images
lie in the table of images, so ``{"type": "image"}`` stands for the next image of the message, and
``{"type": "text"}`` for its whole text if it has one text part only.

The values of an answer may also hold one that is no part: ``{"type": "request"}`` with what its
request said beside the messages, for dialects that show it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from app.provider.types import (
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

Values = list[dict[str, Any]]
"""Parts as JSON values."""

Content = tuple[TextPart | ImagePart, ...]
"""Parts of a tool result."""

LISTED_ROLES: frozenset[Role] = frozenset({"user", "assistant"})


def is_listed(role: Role, parts: Sequence[Part]) -> bool:
    """Whether a message is a question or the text of an answer, which every API version lists."""
    return role in LISTED_ROLES and not any(
        isinstance(part, ToolCallPart | ToolResultPart) for part in parts
    )


def without_nul(message: Message) -> Message:
    """The message with U+FFFD for each NUL, which PostgreSQL refuses."""
    return Message(message.role, tuple(_without_nul(part) for part in message.parts))


def _without_nul(part: Part) -> Part:
    fields = part.as_dict()
    if isinstance(part, ToolResultPart):
        fields["content"] = tuple(_without_nul(one) for one in part.content)
    texts = {name: one for name, one in fields.items() if isinstance(one, str)}
    return type(part)(**fields | {name: one.replace("\0", "\ufffd") for name, one in texts.items()})


def transcript(parts: Sequence[Part]) -> str:
    """Text, tool calls and tool results as one text, without thinking."""
    return "\n".join(text for part in parts if (text := _transcript(part)))


def _transcript(part: Part) -> str:
    match part:
        case TextPart(text=text):
            return text
        case ToolCallPart(name=name, arguments=arguments):
            return f"{name}({arguments})"
        case ToolResultPart():
            return part.text
        case _:
            return ""


# ---------------------------------------------------------------- to JSON


def extra_parts(message: Message) -> tuple[Part, ...]:
    """The parts of a message; none if it is one text, after images or without."""
    *images, last = message.parts or (None,)
    ordinary = isinstance(last, TextPart) and all(isinstance(one, ImagePart) for one in images)
    return () if ordinary else message.parts


def to_values(parts: Sequence[Part]) -> Values:
    """The parts as JSON values; the row holds all of the text, and the images are stored apart."""
    one_text = sum(isinstance(part, TextPart) for part in parts) == 1
    return [
        {"type": "text"} if one_text and isinstance(part, TextPart) else _value(part)
        for part in parts
    ]


def _value(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text}
        case ImagePart():
            return {"type": "image"}
        case ThinkingPart(text=text):
            return {"type": "thinking", "text": text}
        case ToolCallPart():
            return {"type": "tool_call"} | part.as_dict()
        case ToolResultPart():
            content = [_value(one) for one in part.content]
            return {"type": "tool_result"} | part.as_dict() | {"content": content}


REQUEST = "request"
"""The type of the value that says what the request said."""


def request_value(fields: dict[str, Any]) -> dict[str, Any]:
    """What the request said, as a value beside the parts."""
    return {"type": REQUEST, "fields": fields}


def request_values(values: Values | None) -> Values:
    """Those of the values that say what the request said: one, or none."""
    return [value for value in values or () if value["type"] == REQUEST]


def without_request(values: Values | None) -> Values:
    """The parts among the values."""
    return [value for value in values or () if value["type"] != REQUEST]


# ---------------------------------------------------------------- from JSON

IMAGE = ImagePart(b"", "", 0, 0)
"""Stands for an image of the message until ``with_images`` puts it there."""


def from_values(values: Values, text: str) -> tuple[Part, ...]:
    """The parts of a message with this text; ``IMAGE`` where images belong."""
    return tuple(_part(value, text) for value in without_request(values))


def _part(value: dict[str, Any], text: str) -> Part:
    fields = {name: one for name, one in value.items() if name != "type"}
    match value["type"]:
        case "text":
            return TextPart(fields.get("text", text))
        case "image":
            return IMAGE
        case "thinking":
            return ThinkingPart(**fields)
        case "tool_call":
            return ToolCallPart(**fields)
        case "tool_result":
            content = cast("Content", from_values(fields.pop("content"), ""))
            return ToolResultPart(content=content, **fields)
    raise ValueError(f"a stored message has a part of the unknown type {value['type']!r}")


def with_images(parts: Sequence[Part], images: Iterator[ImagePart | None]) -> tuple[Part, ...]:
    """The parts with ``images`` in their places; an image that is None is left out."""
    return tuple(filled for part in parts for filled in _filled(part, images))


def _filled(part: Part, images: Iterator[ImagePart | None]) -> tuple[Part, ...]:
    if isinstance(part, ToolResultPart):
        content = cast("Content", with_images(part.content, images))
        return (ToolResultPart(part.call_id, content, part.is_error),)
    if not isinstance(part, ImagePart):
        return (part,)
    image = next(images)
    return () if image is None else (image,)
