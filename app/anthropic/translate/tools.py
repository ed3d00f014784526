"""Tools of a request, and which of them the model may call."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from app.anthropic.models import options as wire
from app.anthropic.models.request import CountRequest
from app.errors import InvalidRequest
from app.provider.types import Tool, ToolChoice


def tools(body: CountRequest) -> tuple[Tool, ...]:
    """The tools that the model is given; raises InvalidRequest."""
    sent = [(at, one) for at, one in enumerate(body.tools) if isinstance(one, wire.ClientTool)]
    names = Counter(tool.name for _, tool in sent)
    for at, tool in sent:
        if names[tool.name] > 1:
            raise InvalidRequest(f"/tools/{at}/name", "tool names must be unique")
    return tuple(_tool(tool) for _, tool in sent)


def _tool(tool: wire.ClientTool) -> Tool:
    schema = json.dumps(tool.input_schema, ensure_ascii=False)
    return Tool(tool.name, tool.description, schema, bool(tool.strict))


def skipped(body: CountRequest) -> list[str]:
    """Types of the tools that are not run here and that the model is not given."""
    return [tool.type for tool in body.tools if isinstance(tool, wire.ServerTool)]


def tool_choice(body: CountRequest, given: Sequence[Tool]) -> ToolChoice:
    """Which of the ``given`` tools may be called; raises InvalidRequest."""
    match body.tool_choice:
        case None:
            return ToolChoice()
        case wire.NoChoice():
            return ToolChoice("none")
        case wire.AutoChoice(disable_parallel_tool_use=single):
            return ToolChoice("auto", parallel=not single)
        case wire.AnyChoice(disable_parallel_tool_use=single):
            if not given:
                raise InvalidRequest("/tool_choice", "there is no tool that the model could call")
            return ToolChoice("required", parallel=not single)
        case wire.NamedChoice(name=name, disable_parallel_tool_use=single):
            if name not in {tool.name for tool in given}:
                raise InvalidRequest("/tool_choice/name", "names no tool that the model is given")
            return ToolChoice("required", name, parallel=not single)
