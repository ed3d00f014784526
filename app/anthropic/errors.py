"""Errors in Anthropic's form: ``{"type": "error", "error": {"type", "message"}, "request_id"}``.

Anthropic's SDKs choose the exception by the status, read ``request-id``, and send again what was
answered with 408, 409, 429 or 5xx unless ``x-should-retry`` says that it would fail again.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from app.conversations.errors import cause_of
from app.errors import AppError, InvalidRequest
from app.idempotency.errors import IdempotencyKeyReused
from app.provider.errors import ContextOverflow, ModelNotFound, ProviderError
from app.web.error_codes import kind_of_error
from app.web.error_text import error_sentence, sdk_headers

OVERLOADED = 529
"""Anthropic's own status where trying again later helps; its SDKs know it."""

STATUSES = {415: 400, 422: 400, 429: OVERLOADED, 503: OVERLOADED}
"""Status under ``/api`` → that of this dialect, where it differs."""

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    OVERLOADED: "overloaded_error",
}
"""Status → type; below 500 all others are ``invalid_request_error``, the rest ``api_error``."""


def render(error: Exception, request_id: str) -> Response:
    """The HTTP answer that describes ``error``."""
    error = cause_of(error)
    status = status_of(error)
    headers = sdk_headers(error, status) | {"request-id": request_id}
    return JSONResponse(body_of(error, request_id), status, headers)


def body_of(error: Exception, request_id: str) -> dict[str, Any]:
    """The JSON object that describes ``error``, also in the middle of a stream."""
    error = cause_of(error)
    described = {"type": type_of(status_of(error)), "message": _message(error, request_id)}
    return {"type": "error", "error": described, "request_id": request_id}


def status_of(error: Exception) -> int:
    """The status of an error; 422 where the draft of the header Idempotency-Key asks for it."""
    status = kind_of_error(error).status
    if isinstance(error, IdempotencyKeyReused):
        return status
    return STATUSES.get(status, status)


def type_of(status: int) -> str:
    """The type of an error of that status."""
    return TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def _message(error: Exception, request_id: str) -> str:
    if isinstance(error, (AppError, ProviderError)):
        return _sentence(error)
    return error_sentence(error, request_id)


def _sentence(error: AppError | ProviderError) -> str:
    match error:
        case InvalidRequest():
            first = error.errors[0]
            return f"{first.pointer[1:].replace('/', '.') or 'The body'}: {first.detail}."
        case ContextOverflow():  # Claude Code looks for these words, and shortens the conversation
            return f"prompt is too long: {error.needed} tokens > {error.limit} maximum"
        case ModelNotFound():
            return f"{error} GET /v1/models lists the names; MODEL_ALIASES adds further ones."
        case _:
            return str(error)
