"""Errors of requests to ``/mcp`` before they are calls: JSON-RPC error objects without an id."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from app.conversations.errors import cause_of
from app.web.error_codes import kind_of_error
from app.web.error_rendering import headers_of
from app.web.error_text import error_sentence

INVALID_REQUEST, INTERNAL_ERROR = -32600, -32603
"""Of JSON-RPC 2.0, section 5.1."""


def render(error: Exception, request_id: str) -> Response:
    """The HTTP answer that describes ``error``."""
    error = cause_of(error)
    kind = kind_of_error(error)
    described = {
        "code": INTERNAL_ERROR if kind.status >= 500 else INVALID_REQUEST,
        "message": error_sentence(error, request_id),
        "data": {"code": kind.code, "request_id": request_id},
    }
    body = {"jsonrpc": "2.0", "id": None, "error": described}
    return JSONResponse(body, kind.status, headers_of(error))
