"""Which form an error is answered in: that of the dialect whose paths the request was sent to.

Middlewares, routes and the HTTP server itself all refuse requests. Each asks ``ErrorRenderers``
for the answer, so a dialect registers one function and its clients see no other form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.conversations.errors import TurnFailed, cause_of
from app.errors import AppError
from app.provider.errors import EngineBusy, EngineUnavailable, ProviderError
from app.web.allow_header import allowed
from app.web.errors import KeyRequired

ErrorRenderer = Callable[[Exception, str], Response]
"""Error, id of the request → the answer."""

HANDLED: tuple[type[Exception], ...] = (
    AppError,
    TurnFailed,
    ProviderError,
    RequestValidationError,
    HTTPException,
)
"""The roots of the tree, each to be registered with ``handle``; any other error is a bug."""


class ErrorRenderers:
    """The renderer of each dialect, by the prefix of its paths, and one for all other paths.

    Of two prefixes of a path the longer one counts.
    """

    def __init__(
        self, default: ErrorRenderer, dialects: Mapping[str, ErrorRenderer] | None = None
    ) -> None:
        self._default = default
        found = (dialects or {}).items()
        self._dialects = dict(sorted(found, key=lambda each: len(each[0]), reverse=True))

    def render(self, path: str, error: Exception, request_id: str) -> Response:
        """The answer to a request for ``path`` that failed with ``error``."""
        return self._renderer(path)(error, request_id)

    async def handle(self, request: Request, error: Exception) -> Response:
        """Answer an error that left a route."""
        if isinstance(error, HTTPException) and error.status_code == 405:
            error.headers = {"Allow": allowed(request)}
        return self.render(request.scope["path"], error, request.state.request_id)

    def _renderer(self, path: str) -> ErrorRenderer:
        for prefix, renderer in self._dialects.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return renderer
        return self._default


def headers_of(error: Exception) -> dict[str, str]:
    """The headers that HTTP asks for with ``error``, in every dialect."""
    error = cause_of(error)
    headers = {"Cache-Control": "no-store"}
    if (seconds := _retry_after(error)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    if isinstance(error, KeyRequired):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    return headers


def _retry_after(error: Exception) -> float | None:
    if isinstance(error, (AppError, EngineBusy, EngineUnavailable)):
        return error.retry_after
    return None
