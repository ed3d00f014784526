"""Tools that ask their client while they run, as revisions before 2026-07-28 do it.

That takes a session: the client's answer comes with another request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mcp_types as types
from mcp.shared.message import ServerMessageMetadata

from app.mcp.call import Context
from tests.clients.mcp_fixtures.client_requests import form, model_answer
from tests.clients.mcp_fixtures.content import text
from tests.clients.mcp_fixtures.tool import Run, Tool

TEXT = {"type": "string"}
OPTIONS = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]

DEFAULTS = form(
    "Fields of each kind that have a default.",
    name={"type": "string", "default": "John Doe"},
    age={"type": "integer", "default": 30},
    score={"type": "number", "default": 95.5},
    status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    verified={"type": "boolean", "default": True},
)
ENUMS = form(
    "Choices of each kind.",
    untitledSingle={"type": "string", "enum": OPTIONS},
    titledSingle={"type": "string", "oneOf": TITLED},
    legacyEnum={"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["One", "Two"]},
    untitledMulti={"type": "array", "items": {"type": "string", "enum": OPTIONS}},
    titledMulti={"type": "array", "items": {"anyOf": TITLED}},
)


def _filled_in(make: Callable[[dict[str, Any]], types.ElicitRequest]) -> Run:
    async def ask(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        related = ServerMessageMetadata(related_request_id=ctx.request_id)
        request = make(params.arguments or {})
        answer = await ctx.session.send_request(request, types.ElicitResult, metadata=related)
        return types.CallToolResult(content=[text(f"{answer.action}: {answer.content}")])

    return ask


async def _sampled(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    request = model_answer((params.arguments or {})["prompt"])
    answer = await ctx.session.send_request(request, types.CreateMessageResult, metadata=related)
    return types.CallToolResult(content=[text(f"The model answers: {answer.content}")])


def _who(arguments: dict[str, Any]) -> types.ElicitRequest:
    return form(arguments["message"], username=TEXT, email=TEXT)


TOOLS = [
    Tool("test_sampling", "Asks the client's model.", _sampled, ("prompt",)),
    Tool("test_elicitation", "Asks who the user is.", _filled_in(_who), ("message",)),
    Tool("test_elicitation_sep1034_defaults", "Has defaults.", _filled_in(lambda _: DEFAULTS)),
    Tool("test_elicitation_sep1330_enums", "Has choices.", _filled_in(lambda _: ENUMS)),
]
