"""Tools and the choice of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from app.openai.errors import InvalidParameter
from app.openai.models import tools as wire
from app.openai.models.chat import ChatBody
from app.provider.types import Tool, ToolChoice

_NO_ARGUMENTS = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class ChosenTools:
    """The tools that the model may call, and those of types that are not run here."""

    tools: tuple[Tool, ...]
    choice: ToolChoice
    skipped: tuple[str, ...]


def chosen_tools(body: ChatBody) -> ChosenTools:
    """The tools of a body; raises InvalidParameter."""
    return choose_tools(body.tools, body.tool_choice, parallel=body.parallel_tool_calls)


def choose_tools(
    sent: Sequence[wire.Tool], wanted: wire.ToolChoice | None, *, parallel: bool
) -> ChosenTools:
    """Those of the tools that may be called; raises InvalidParameter."""
    tools = function_tools(sent)
    skipped = tuple(tool.type for tool in sent if tool.type != "function")
    mode, names = _mode_and_names(wanted, {tool.name for tool in tools})
    if mode == "required" and not tools:
        raise InvalidParameter("/tool_choice", "There is no tool that could be called.")
    one = names[0] if names and mode == "required" and len(names) == 1 else ""
    choice = ToolChoice(mode, one, parallel)
    allowed = tools if names is None else [tool for tool in tools if tool.name in names]
    return ChosenTools(tuple(allowed), choice, skipped)


def function_tools(sent: Sequence[wire.Tool]) -> list[Tool]:
    """The tools that are functions; raises InvalidParameter."""
    tools = [_tool(at, tool) for at, tool in enumerate(sent) if tool.type == "function"]
    _require_distinct(tools)
    return tools


def _tool(at: int, tool: wire.Tool) -> Tool:
    function = tool.function
    if function is None:
        raise InvalidParameter(f"/tools/{at}/function", "A tool of the type function needs it.")
    parameters = function.parameters or _NO_ARGUMENTS
    if parameters.get("type", "object") != "object":
        where = f"/tools/{at}/function/parameters"
        raise InvalidParameter(where, "The arguments of a tool are an object.", "invalid_value")
    schema = json.dumps(parameters, ensure_ascii=False)
    return Tool(function.name, function.description or "", schema, bool(function.strict))


def _require_distinct(tools: Sequence[Tool]) -> None:
    names = [tool.name for tool in tools]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise InvalidParameter("/tools", f"Two tools are called {name}.", "invalid_value")


def _mode_and_names(
    choice: wire.ToolChoice | None, known: set[str]
) -> tuple[wire.Mode, list[str] | None]:
    """How tools are called, and which alone may be; None: any. Raises InvalidParameter."""
    if choice is None:
        return "auto", None
    if isinstance(choice, str):
        return choice, None
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        return allowed.mode, [_named(tool.type, tool.function, known) for tool in allowed.tools]
    return "required", [_named(choice.type, choice.function, known)]


def _named(kind: str, function: wire.NamedFunction | None, known: set[str]) -> str:
    """The name of a tool that can be called."""
    if kind != "function" or function is None:
        raise InvalidParameter("/tool_choice", f"Tools of the type {kind} are not run here.")
    if function.name not in known:
        detail = f"There is no tool called {function.name}."
        raise InvalidParameter("/tool_choice", detail, "invalid_value")
    return function.name
