"""How much a request may carry, and how slowly."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.bounds import BodyBounds, BodyPace
from app.web.error_rendering import ErrorRenderers


class BodyLimit:
    """ASGI middleware: refuses a body that is larger or comes slower than it may.

    On some paths it may be larger: they take pictures.
    """

    def __init__(self, app: ASGIApp, bounds: BodyBounds, errors: ErrorRenderers) -> None:
        self.app = app
        self._bounds = bounds
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by Content-Length at once, otherwise as soon as too much has come in."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        large = self._bounds.is_large(scope["path"])
        limit = self._bounds.large_limit if large else self._bounds.limit
        setting = "MAX_VISION_REQUEST_BYTES" if large else "MAX_REQUEST_BYTES"
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > limit:
            refusal = self._errors.render(
                scope["path"], _too_large(limit, setting), scope["state"]["request_id"]
            )
            return await refusal(scope, receive, send)
        timely = _Timely(receive, self._bounds.pace)
        return await self.app(scope, _counted(timely.receive, limit, setting), send)


def _counted(receive: Receive, limit: int, setting: str) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise _too_large(limit, setting)
        return message

    return counted


class _Timely:
    """A body in which each ``pace.seconds`` of waiting for the client bring their bytes.

    Only waiting counts: while the application does something else, nobody is slow.
    """

    def __init__(self, receive: Receive, pace: BodyPace) -> None:
        self._receive = receive
        self._pace = pace
        self._ended = not pace.least
        self._came = 0
        self._waited = 0.0

    async def receive(self) -> Message:
        """The next message; raises HTTPException when the body comes too slowly."""
        if self._ended:
            return await self._receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._pace.seconds - self._waited):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow(self._pace) from None
        self._waited += time.monotonic() - began
        self._ended = not message.get("more_body", False)
        self._came += len(message.get("body", b""))
        if self._came >= self._pace.least * self._pace.seconds:
            self._came, self._waited = 0, 0.0
        return message


def _too_slow(pace: BodyPace) -> HTTPException:
    detail = (
        f"The body came slower than {pace.least} bytes a second over {pace.seconds:g} s (the "
        "settings MIN_BODY_BYTES_PER_SECOND and BODY_WINDOW_SECONDS)."
    )
    return HTTPException(408, detail, {"Connection": "close"})


def _too_large(limit: int, setting: str) -> HTTPException:
    # This class, because the framework lets nothing else out of its reading of the body.
    return HTTPException(413, f"The body is larger than {limit} bytes (the setting {setting}).")
