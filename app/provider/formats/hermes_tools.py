"""The text that describes tools to a model whose chat template does not use them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from app.provider.types import Tool

_BEFORE = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
_AFTER = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def tool_object(tool: Tool) -> dict[str, object]:
    """A tool as chat templates are given it."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return {"type": "function", "function": function}


def hermes_tool_block(tools: Sequence[Tool]) -> str:
    """The tools, and how to call them, worded as Qwen2.5's chat template does.

    It follows the system text after an empty line. The answer is of the format ``hermes``.
    """
    lines = [json.dumps(tool_object(tool), ensure_ascii=False) for tool in tools]
    return _BEFORE + "\n".join(lines) + _AFTER
