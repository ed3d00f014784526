"""Tools that send something before they answer: progress, lines of a log, changes of lists."""

from __future__ import annotations

import asyncio

import mcp_types as types
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ServerEvent,
    ToolsListChanged,
)

from app.mcp.call import Context
from tests.clients.mcp_fixtures.content import text
from tests.clients.mcp_fixtures.tool import Run, Tool

PAUSE = 0.05
"""Seconds, as the suite describes it."""


async def _progress(ctx: Context, _: types.CallToolRequestParams) -> types.CallToolResult:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
        await asyncio.sleep(PAUSE)
    return types.CallToolResult(content=[text("It is done.")])


async def _log(ctx: Context, _: types.CallToolRequestParams) -> types.CallToolResult:
    for line in ("started", "processing", "completed"):
        await ctx.session.send_log_message("info", line, related_request_id=ctx.request_id)
        await asyncio.sleep(PAUSE)
    return types.CallToolResult(content=[text("It is logged.")])


def _publishing(bus: InMemorySubscriptionBus, event: ServerEvent) -> Run:
    async def publish(_: Context, __: types.CallToolRequestParams) -> types.CallToolResult:
        await bus.publish(event)
        return types.CallToolResult(content=[text("It is announced.")])

    return publish


def tools(bus: InMemorySubscriptionBus) -> list[Tool]:
    """All of them; the subscribers of ``bus`` hear of changes."""
    tools_change, prompts_change = ToolsListChanged(), PromptsListChanged()
    return [
        Tool("test_tool_with_progress", "Reports progress.", _progress),
        Tool("test_tool_with_logging", "Logs three lines.", _log),
        Tool("test_logging_tool", "Logs three lines.", _log),
        Tool("test_trigger_tool_change", "Changes the tools.", _publishing(bus, tools_change)),
        Tool("test_trigger_prompt_change", "Changes prompts.", _publishing(bus, prompts_change)),
    ]
