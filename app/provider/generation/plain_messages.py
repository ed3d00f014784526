"""Messages for chat templates that know system, user and assistant with text and images only.

Tool calls and results are written as Hermes and Qwen2.5 write them, the format that most families
without one of their own were trained on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, cast

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

Content = TextPart | ImagePart
"""What a template can be given of a message."""

PLAIN_ROLES: dict[Role, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
}


def plain_messages(messages: Sequence[Message]) -> list[Message]:
    """The conversation in plain roles and parts; thinking of earlier turns is left out."""
    return [_plain(message) for message in messages]


def content(message: Message) -> tuple[Content, ...]:
    """The parts of a plain message."""
    return cast("tuple[Content, ...]", message.parts)


def _plain(message: Message) -> Message:
    if all(isinstance(part, Content) for part in message.parts) and message.role in _UNCHANGED:
        return message
    parts = tuple(made for part in message.parts for made in _content(part))
    return Message(PLAIN_ROLES[message.role], parts)


_UNCHANGED = frozenset(role for role, plain in PLAIN_ROLES.items() if role == plain)


def _content(part: Part) -> tuple[Content, ...]:
    match part:
        case ThinkingPart():
            return ()
        case ToolCallPart():
            return (TextPart(_tool_call(part)),)
        case ToolResultPart():
            return (TextPart("<tool_response>\n"), *part.content, TextPart("\n</tool_response>"))
        case _:
            return (part,)


def _tool_call(call: ToolCallPart) -> str:
    name = json.dumps(call.name, ensure_ascii=False)
    arguments = call.arguments.strip() or "{}"
    return f'<tool_call>\n{{"name": {name}, "arguments": {arguments}}}\n</tool_call>'
