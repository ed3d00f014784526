"""Messages in the roles and parts that every chat template knows."""

from __future__ import annotations

from typing import cast

from app.provider.types import ImagePart, Message, Role, TextPart, ToolResultPart

Content = TextPart | ImagePart
"""What a template can be given of a message."""

_PLAIN_ROLES: dict[Role, Role] = {"developer": "system", "tool": "user"}


def plain_role(role: Role) -> Role:
    """The role for a template that knows system, user and assistant."""
    return _PLAIN_ROLES.get(role, role)


def content(message: Message) -> tuple[Content, ...]:
    """The parts of a plain message."""
    return cast("tuple[Content, ...]", message.parts)


def plain_result(result: ToolResultPart) -> tuple[Content, ...]:
    """The result of a tool call as Hermes and Qwen2.5 write it.

    Most families that have no format of their own were trained on theirs.
    """
    return (TextPart("<tool_response>\n"), *result.content, TextPart("\n</tool_response>"))
