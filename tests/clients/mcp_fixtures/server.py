"""The server: made of the same SDK with the same middleware as that of the product."""

from __future__ import annotations

from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError

from app.mcp.call import Context
from app.mcp.cancellation import Cancellation
from app.mcp.handler_errors import explain
from tests.clients.mcp_fixtures import back_channel, content, notifications, rounds
from tests.clients.mcp_fixtures.prompts import complete, get_prompt, list_prompts
from tests.clients.mcp_fixtures.resources import (
    list_resources,
    list_templates,
    read,
    subscribe,
    unsubscribe,
)
from tests.clients.mcp_fixtures.tool import Tool, ToolAnswer

NAME = "fixtures"


class Tools:
    """Lists tools and calls them."""

    def __init__(self, *tools: Tool) -> None:
        self._tools = {tool.name: tool for tool in tools}

    async def list(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """All of them."""
        return types.ListToolsResult(tools=[tool.listed() for tool in self._tools.values()])

    async def call(self, ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        """Call one; a missing one is an error of the protocol, which passes no scenario."""
        if params.name not in self._tools:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name}.")
        return await self._tools[params.name].run(ctx, params)

    def schema(self, name: str) -> dict[str, Any] | None:
        """That of the arguments of a tool, if there is such a tool."""
        return self._tools[name].schema() if name in self._tools else None


async def set_level(_: Context, __: types.SetLevelRequestParams) -> types.EmptyResult:
    """Accept it: there is no session to keep it for."""
    return types.EmptyResult()


def make_server(*_: object) -> Server[Any]:
    """The server; it takes what the product's takes."""
    bus = InMemorySubscriptionBus()
    tools = Tools(*content.TOOLS, *notifications.tools(bus), *back_channel.TOOLS, *rounds.TOOLS)
    server: Server[Any] = Server(
        NAME,
        version="1",
        get_tool_input_schema=tools.schema,
        on_list_tools=tools.list,
        on_call_tool=tools.call,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read,
        on_subscribe_resource=subscribe,
        on_unsubscribe_resource=unsubscribe,
        on_subscriptions_listen=ListenHandler(bus),
    )
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)
    boundary = RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME)
    server.middleware = [Cancellation(), explain, boundary]
    return server
