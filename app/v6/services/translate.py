"""From v6's wire models to the domain: what an answer may consist of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from app.chat.request import AnswerOptions, TurnRequest
from app.chat.thinking import thinking_options
from app.errors import InvalidRequest
from app.provider.types import (
    Constraint,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from app.v4.services import translate as v4
from app.v5.services import translate as v5
from app.v6.models import options as wire
from app.v6.models.chat import ChatRequest, RegenerateRequest
from app.v6.models.conversations import ToolResult


@dataclass(frozen=True, slots=True)
class Question(v5.Question):
    """A question as the client sent it."""

    body_type: ClassVar[type[ChatRequest]] = ChatRequest

    body: ChatRequest

    @property
    def request(self) -> TurnRequest:
        """The request without the images; raises InvalidRequest."""
        return replace(v4.turn_request(self.body), options=answer_options(self.body))


def regenerate_request(body: RegenerateRequest) -> TurnRequest:
    """How a stored question is to be answered again; raises InvalidRequest."""
    return replace(v4.options(body), options=answer_options(body))


def answer_options(body: wire.OptionFields) -> AnswerOptions:
    """What the answer may consist of; raises InvalidRequest."""
    tools = tuple(_tool(at, tool) for at, tool in enumerate(body.tools))
    effort = thinking_options(body.thinking) if body.thinking else None
    return AnswerOptions(
        tools=tools,
        tool_choice=_tool_choice(body.tool_choice or wire.ToolChoice(), tools),
        constraint=_constraint(body.constraint) if body.constraint else None,
        thinking=True,
        thinking_budget=effort.budget if effort else None,
        template_variables=json.dumps(effort.variables) if effort else "",
    )


def _tool(at: int, sent: wire.Tool) -> Tool:
    if sent.parameters.get("type", "object") != "object":
        raise InvalidRequest(f"/tools/{at}/parameters", "The arguments of a tool are an object.")
    schema = json.dumps(sent.parameters, ensure_ascii=False)
    return Tool(sent.name, sent.description, schema, sent.strict)


def _tool_choice(sent: wire.ToolChoice, tools: Sequence[Tool]) -> ToolChoice:
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise InvalidRequest("/tools", "Two tools have the same name.")
    if sent.mode == "required" and not tools:
        raise InvalidRequest("/tool_choice", "There is no tool that could be called.")
    if sent.name is not None and sent.mode != "required":
        raise InvalidRequest("/tool_choice/name", "Only a tool that is required has a name here.")
    if sent.name is not None and sent.name not in names:
        raise InvalidRequest("/tool_choice/name", f"There is no tool called {sent.name}.")
    return ToolChoice(sent.mode, sent.name or "", sent.parallel)


def _constraint(sent: wire.Constraint) -> Constraint:
    if sent.json_schema is not None:
        return Constraint("json_schema", json.dumps(sent.json_schema, ensure_ascii=False))
    if sent.regex is not None:
        return Constraint("regex", sent.regex)
    return Constraint("lark", sent.lark or "")


def tool_results(results: Sequence[ToolResult]) -> tuple[ToolResultPart, ...]:
    """Results of tool calls of a body."""
    return tuple(
        ToolResultPart(one.call_id, (TextPart(one.content),), one.is_error) for one in results
    )


def tool_calls(calls: Sequence[ToolCallPart]) -> list[dict[str, Any]]:
    """Tool calls as fields of the wire model."""
    return [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls]
