"""Tools of a response and the choice of them: those of a chat, in a flatter form."""

from __future__ import annotations

from app.openai.models import responses as flat
from app.openai.models import tools as wire
from app.openai.translate.tools import ChosenTools, choose_tools


def response_tools(body: flat.ResponseFields) -> ChosenTools:
    """The tools that the model may call; raises InvalidParameter."""
    tools = [_tool(tool) for tool in body.tools]
    return choose_tools(tools, _choice(body.tool_choice), parallel=body.parallel_tool_calls)


def _tool(sent: flat.FunctionTool) -> wire.Tool:
    if sent.type != "function" or sent.name is None:
        return wire.Tool(type=sent.type)
    function = wire.FunctionDefinition(
        name=sent.name,
        description=sent.description,
        parameters=sent.parameters,
        strict=sent.strict,
    )
    return wire.Tool(function=function)


def _choice(sent: wire.Mode | flat.ToolChoiceObject) -> wire.ToolChoice:
    if isinstance(sent, str):
        return sent
    named = [wire.NamedTool(type=tool.type, function=_function(tool.name)) for tool in sent.tools]
    allowed = sent.type == "allowed_tools"
    return wire.ToolChoiceObject(
        type=sent.type,
        function=_function(sent.name),
        allowed_tools=wire.AllowedTools(mode=sent.mode, tools=named) if allowed else None,
    )


def _function(name: str | None) -> wire.NamedFunction | None:
    return None if name is None else wire.NamedFunction(name=name)
