"""How much a request may carry."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import problems


class BodyLimit:
    """ASGI middleware: refuses a body of more than ``limit`` bytes, declared or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by Content-Length at once, otherwise as soon as too much has come in."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            refusal = problems.response(self._too_large(), scope["state"]["request_id"])
            return await refusal(scope, receive, send)
        return await self.app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._limit:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> HTTPException:
        # This class, because the framework lets nothing else out of its reading of the body.
        detail = f"The body is larger than {self._limit} bytes (the setting MAX_REQUEST_BYTES)."
        return HTTPException(413, detail)
