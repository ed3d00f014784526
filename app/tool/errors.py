"""Errors as the clients of the tool server read them: sentences in ``detail`` and ``error``."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from app.conversations.errors import cause_of
from app.web.error_codes import kind_of_error
from app.web.error_rendering import headers_of
from app.web.error_text import error_sentence


def render(error: Exception, request_id: str) -> Response:
    """The HTTP answer that describes ``error``."""
    error = cause_of(error)
    status = kind_of_error(error).status
    return JSONResponse(body_of(error, request_id), status, headers_of(error))


def body_of(error: Exception, request_id: str) -> dict[str, Any]:
    """The JSON object that describes ``error``, also in the middle of a stream."""
    error = cause_of(error)
    sentence = error_sentence(error, request_id)
    code = kind_of_error(error).code
    return {"detail": sentence, "error": sentence, "code": code, "request_id": request_id}
