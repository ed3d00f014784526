"""``POST /mcp``: the only method, for the server has nothing to say that nobody asked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.mcp.endpoint import McpEndpoint

router = APIRouter(include_in_schema=False)


async def _endpoint(request: Request) -> McpEndpoint:
    endpoint: McpEndpoint = request.state.mcp
    return endpoint


@router.post("/mcp", responses={200: {"content": {"text/event-stream": {}}}})
async def mcp(request: Request, endpoint: Annotated[McpEndpoint, Depends(_endpoint)]) -> Response:
    """Answer one message of the protocol."""
    return endpoint.response(request)
