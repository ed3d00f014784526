"""All tools, and the calls of them."""

from __future__ import annotations

from typing import Any

import mcp_types as types
from pydantic import ValidationError

from app.errors import AppError
from app.mcp.call import Call, Context
from app.mcp.tools import conversations, encoding, generation, models
from app.mcp.tools.tool import Tool, ToolAnswer
from app.provider.errors import ProviderError
from app.web.error_text import mistake_sentence

TOOLS: dict[str, Tool[Any]] = {
    tool.name: tool
    for group in (generation, encoding, conversations, models)
    for tool in group.TOOLS
}
"""By their names, in the order in which they are listed."""

SCHEMAS = {name: tool.schema() for name, tool in TOOLS.items()}
"""Those of their arguments: every call is checked against one."""

READS_ONLY = types.ToolAnnotations(
    read_only_hint=True, destructive_hint=False, open_world_hint=False
)
"""Hosts ask their users less often before they call such tools."""


async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    """All of them, on one page."""
    return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS.values()])


def _described(tool: Tool[Any]) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=SCHEMAS[tool.name],
        annotations=READS_ONLY,
    )


def input_schema(name: str) -> dict[str, Any] | None:
    """The schema of a tool's arguments, if there is such a tool."""
    return SCHEMAS.get(name)


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    """Call one. What the caller did wrong, and what went wrong here, is a result that says so."""
    tool = TOOLS.get(params.name)
    if tool is None:
        return _failure(f"There is no tool {params.name[:100]!r}; there are {', '.join(TOOLS)}.")
    try:
        asked = tool.arguments.model_validate(params.arguments or {})
        call = Call.of(ctx)
        async with call.progress.reported():
            return _result(await tool.run(call, asked))
    except ValidationError as error:
        return _failure(_mistakes(error))
    except (AppError, ProviderError) as error:
        return _failure(str(error))


def _mistakes(error: ValidationError) -> str:
    return " ".join(
        mistake_sentence({**mistake, "loc": ("arguments", *mistake["loc"])})
        for mistake in error.errors(include_url=False, include_input=False)
    )


def _result(answer: ToolAnswer) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text) for text in answer.texts],
        structured_content=answer.data,
    )


def _failure(sentence: str) -> types.CallToolResult:
    content = [types.TextContent(type="text", text=sentence)]
    return types.CallToolResult(content=content, is_error=True)
