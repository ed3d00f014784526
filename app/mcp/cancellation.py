"""Calls that can be cancelled: by hanging up, and by a message that names them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

import anyio
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError

from app.mcp.call import Context, request_of
from app.mcp.endpoint import SESSION

REQUEST_CANCELLED = -32800
"""Of the Language Server Protocol, whose other codes MCP shares."""

Key = tuple[str, str, str]
"""Owner, session and id of a request."""

TOPIC = "mcp-cancelled"
"""Under which processes tell each other what is to be cancelled."""


class OtherProcesses(Protocol):
    """Those that serve the same address."""

    def notify(self, topic: str, text: str, /) -> None:
        """Say something to all of them, at most once."""

    def listen(self, topic: str, take: Callable[[str], None], /) -> None:
        """Pass on what they say under that topic."""


class Cancellation:
    """Middleware of the SDK's server: each call runs in a task of its own.

    The SDK cancels what waits in it again and again (anyio's level cancellation), so nothing in
    there could wait for an engine to stop. ``others`` may have the call that is to be cancelled.
    """

    def __init__(self, others: OtherProcesses | None = None) -> None:
        self._running: dict[Key, asyncio.Task[HandlerResult]] = {}
        self._others = others
        if others:
            others.listen(TOPIC, self._cancel_named)

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Run the call, or cancel the one that a notification names."""
        if ctx.request_id is None:
            if ctx.method == "notifications/cancelled":
                self._cancel(ctx)
            return await call_next(ctx)
        task = asyncio.ensure_future(call_next(ctx))
        key = _key(ctx, ctx.request_id)
        self._running[key] = task
        try:
            return await _finished(task)
        finally:
            if self._running.get(key) is task:
                del self._running[key]

    def _cancel(self, ctx: Context) -> None:
        """Without a session nobody knows whose call is meant: its client hangs up instead."""
        if SESSION not in request_of(ctx).headers:
            return
        key = _key(ctx, (ctx.params or {}).get("requestId"))
        if task := self._running.get(key):
            task.cancel()
        elif self._others:
            self._others.notify(TOPIC, json.dumps(key))

    def _cancel_named(self, text: str) -> None:
        owner, session, request_id = json.loads(text)
        if task := self._running.get((owner, session, request_id)):
            task.cancel()


def _key(ctx: Context, request_id: object) -> Key:
    """An id counts within the session of its owner: others use the same numbers."""
    request = request_of(ctx)
    session = request.headers.get(SESSION, "")
    return request.state.owner, session, repr(request_id)


async def _finished(task: asyncio.Task[HandlerResult]) -> HandlerResult:
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        raise
    if task.cancelled():
        raise MCPError(REQUEST_CANCELLED, "The request was cancelled.")
    return task.result()
