"""The server of the official SDK behind ``/mcp``, imported and started with the first request.

It keeps no sessions: after a restart nobody holds an id that is dead, and hanging up stops the
call in every revision (https://modelcontextprotocol.io/specification/2025-11-25/basic/transports).
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.web.large_bodies import SMALL_BODY, read_body
from app.web.upload_budget import upload_budget

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

SESSION = "mcp-session-id"
"""Header of a client that has been initialized."""

MakeServer = Callable[[], "Server[Any]"]


class McpEndpoint:
    """Answers requests in the protocol.

    ``make_server`` imports the SDK and makes its server, with the handlers; it runs in a thread.
    """

    def __init__(self, make_server: MakeServer) -> None:
        self._make_server = make_server
        self._starting: asyncio.Task[StreamableHTTPSessionManager] | None = None
        self._running: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def close(self) -> None:
        """Stop all calls."""
        self._closing.set()
        if self._starting:
            await asyncio.wait([self._starting])
        if self._running:
            await asyncio.wait([self._running])

    def response(self, request: Request) -> Response:
        """The answer to a request, made while it is sent."""
        return _McpResponse(self, request)

    async def manager(self) -> StreamableHTTPSessionManager:
        """What handles requests. A start that has failed is tried again."""
        if self._starting is None or (self._starting.done() and self._starting.exception()):
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)

    async def _start(self) -> StreamableHTTPSessionManager:
        manager = await asyncio.to_thread(_make_manager, self._make_server)
        started = asyncio.Event()
        self._running = asyncio.create_task(self._run(manager, started))
        await started.wait()
        return manager

    async def _run(self, manager: StreamableHTTPSessionManager, started: asyncio.Event) -> None:
        """In a task of its own: the SDK's tasks must be left in the one that entered them."""
        async with manager.run():
            started.set()
            await self._closing.wait()


def _make_manager(make_server: MakeServer) -> StreamableHTTPSessionManager:
    from mcp.server.streamable_http_manager import (  # noqa: PLC0415
        StreamableHTTPSessionManager,
    )

    # BodyLimit has bounded the body.
    return StreamableHTTPSessionManager(make_server(), stateless=True, max_request_body_size=2**62)


class _McpResponse(Response):
    """Reads the body within the upload budget, then has the SDK answer."""

    def __init__(self, endpoint: McpEndpoint, request: Request) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        manager = await self._endpoint.manager()
        with upload_budget(self._request).reserve() as take:
            body = bytes(await read_body(self._request, take))
            naming = _naming_session(body, send)
            await manager.handle_request(scope, _replayed(body, receive), naming)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that has been read, in one piece, and then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return left.pop() if left else await receive()

    return replayed


def _naming_session(body: bytes, send: Send) -> Send:
    """Name a session in the answer to ``initialize``.

    Nothing is kept under the name: it tells which calls are those of a client that sends
    ``notifications/cancelled``.
    """
    if not _initializes(body):
        return send

    async def naming(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message["headers"],
                (SESSION.encode(), uuid.uuid4().hex.encode()),
            ]
        await send(message)

    return naming


def _initializes(body: bytes) -> bool:
    if len(body) > SMALL_BODY or b'"initialize"' not in body:
        return False
    with suppress(ValueError, RecursionError):
        message = json.loads(body)
        return isinstance(message, dict) and message.get("method") == "initialize"
    return False
