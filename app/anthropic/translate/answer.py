"""A whole answer as a message of Anthropic's."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from app.anthropic.translate.usage import end_usage, stop_fields
from app.chat.completion import Completion
from app.provider.types import ToolCallPart

INVALID_JSON = "INVALID_JSON"
"""Key under which input stands that is no JSON object: the answer was cut off in it."""


def new_message_id() -> str:
    """An id for an answer that is not stored."""
    return f"msg_{uuid.uuid4().hex[:24]}"


def signature(thinking: str) -> str:
    """What stands where Anthropic signs thinking: clients drop thinking that has none."""
    return hashlib.blake2b(thinking.encode(), digest_size=16).hexdigest()


def message(model: str, completion: Completion) -> dict[str, Any]:
    """The answer as the API sends it."""
    return {
        "id": new_message_id(),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _content(completion),
        **stop_fields(completion.end, completion.started),
        "usage": end_usage(completion.end),
    }


def _content(completion: Completion) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if thinking := completion.thinking:
        blocks.append({"type": "thinking", "thinking": thinking, "signature": signature(thinking)})
    if completion.text:
        blocks.append({"type": "text", "text": completion.text})
    return blocks + [_tool_use(call) for call in completion.tool_calls]


def _tool_use(call: ToolCallPart) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}


def _input(arguments: str) -> dict[str, Any]:
    try:
        found = json.loads(arguments or "{}")
    except ValueError:
        return {INVALID_JSON: arguments}
    return found if isinstance(found, dict) else {INVALID_JSON: arguments}
