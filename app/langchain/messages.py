"""Messages of LangChain as those of the OpenAI dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages

_THOUGHTS = {"reasoning": "reasoning", "thinking": "thinking", "reasoning_content": "text"}
"""Type of a block that holds thinking → the field with its text."""


def wire_messages(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """The messages of a request."""
    return [_wire(message) for message in messages]


def _wire(message: BaseMessage) -> dict[str, Any]:
    thinking = thinking_of(message)
    wire: dict[str, Any] = convert_to_openai_messages(_without_thinking(message))
    if thinking:
        wire["reasoning_content"] = thinking
    if wire.get("tool_calls") and not wire.get("content"):
        wire["content"] = None
    return wire


def thinking_of(message: BaseMessage) -> str:
    """What a message of the model thought, wherever LangChain keeps it."""
    if not isinstance(message, AIMessage):
        return ""
    kept = message.additional_kwargs.get("reasoning_content")
    if isinstance(kept, str):
        return kept
    return "".join(str(block.get(_THOUGHTS[block["type"]]) or "") for block in _thoughts(message))


def _thoughts(message: AIMessage) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return []
    return [block for block in message.content if isinstance(block, dict) and _is_thought(block)]


def _is_thought(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in _THOUGHTS


def _without_thinking(message: BaseMessage) -> BaseMessage:
    if not isinstance(message, AIMessage) or isinstance(message.content, str):
        return message
    rest = [block for block in message.content if not _is_thought(block)]
    return message.model_copy(update={"content": rest or ""})
