"""Messages for chat templates that know system, user and assistant with text and images only.

Tool calls and results are written as Hermes and Qwen2.5 write them, the format that most families
without one of their own were trained on.
"""

from __future__ import annotations

import json
from typing import cast

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

_PLAIN_ROLES: dict[Role, Role] = {"developer": "system", "tool": "user"}


def plain_role(role: Role) -> Role:
    """The role for a template that knows system, user and assistant."""
    return _PLAIN_ROLES.get(role, role)


def content(message: Message) -> tuple[Content, ...]:
    """The parts of a plain message."""
    return cast("tuple[Content, ...]", message.parts)


def plain_parts(part: Part) -> tuple[Content, ...]:
    """A part of a message as texts and images; thinking is left out."""
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
