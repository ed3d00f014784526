"""Closes a connection only after the client has sent what it was sending."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LingeringClose:
    """ASGI middleware for requests after which the client wants the connection to be closed.

    An answer that was given before the whole body had come, such as 413, would be lost: a socket
    that is closed with unread bytes resets the connection, and the client sees that instead. So
    the rest is thrown away first, for at most so many ``seconds``.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; the last piece of the answer waits for the rest of the body."""
        if scope["type"] != "http" or not _closes(Headers(scope=scope)):
            return await self.app(scope, receive, send)
        unread = True
        closes = False

        async def noted() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def lingering(message: Message) -> None:
            nonlocal closes
            if message["type"] == "http.response.start":
                closes = _closes(Headers(raw=message["headers"]))
            elif unread and not (closes or message.get("more_body", False)):
                await send({**message, "more_body": True})
                await _throw_away(noted, self._seconds)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        return await self.app(scope, noted, lingering)


async def _throw_away(receive: Receive, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive()).get("more_body", False):
                pass


def _closes(headers: Headers) -> bool:
    return "close" in headers.get("connection", "").lower()
