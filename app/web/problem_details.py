"""Errors as clients are told of them: problem objects (RFC 9457) with a stable ``code``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.conversations.errors import TurnFailed, cause_of
from app.errors import MAX_FIELD_ERRORS, AppError, FieldError, InvalidRequest, pointer
from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    ProviderError,
)
from app.web.allow_header import allowed
from app.web.error_codes import Kind, kind_of

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}
"""Names of the statuses; Python's own change from version to version."""

FRAMEWORK = {
    400: "malformed-body",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "request-too-large",
    431: "headers-too-large",
    501: "transfer-coding-not-supported",
    505: "http-version-not-supported",
}
"""Codes of HTTPException, by its status."""


class Problem(BaseModel):
    """An error, in the form of RFC 9457."""

    type: str = Field("about:blank", description="Always about:blank; see `code`.")
    title: str = Field(description="The name of the status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened here, in one sentence.")
    code: str = Field(description="A stable name of this kind of error, for programs.")
    request_id: str = Field(description="Also in the header X-Request-ID, and in the log.")
    errors: list[FieldError] | None = Field(None, description="Only for 422: each thing wrong.")
    needed: int | None = Field(None, description="Only for context-length-exceeded: tokens.")
    limit: int | None = Field(None, description="Only for context-length-exceeded: tokens.")


class StoredProblem(Problem):
    """An error that ended a stored turn: the question is kept and can be answered again."""

    conversation_id: str
    message_id: str = Field(description="Of the answer that failed.")


def problem(error: Exception, request_id: str) -> Problem:
    """Describe any error to the client; one that is our bug keeps its message for the log."""
    if isinstance(error, TurnFailed):
        return StoredProblem(
            **problem(error.cause, request_id).model_dump(),
            conversation_id=error.conversation_id,
            message_id=error.message_id,
        )
    status, code, _ = _kind(error)
    errors = _field_errors(error)
    return Problem(
        title=TITLES[status],
        status=status,
        detail=_detail(error, errors),
        code=code,
        request_id=request_id,
        errors=errors,
        needed=error.needed if isinstance(error, ContextOverflow) else None,
        limit=error.limit if isinstance(error, ContextOverflow) else None,
    )


def _kind(error: Exception) -> Kind:
    if isinstance(error, HTTPException):
        return Kind(error.status_code, FRAMEWORK.get(error.status_code, "http-error"))
    return kind_of(type(error))


def _detail(error: Exception, errors: Sequence[FieldError] | None) -> str:
    if isinstance(error, HTTPException):
        return _FRAMEWORK_DETAIL.get(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError) and errors:
        return f"{errors[0].pointer or 'The body'}: {errors[0].detail}"
    if isinstance(error, (AppError, ProviderError)):
        return str(error)
    return "The server made a mistake. Please report it with the request_id."


_FRAMEWORK_DETAIL = {
    400: "The body is not valid JSON in UTF-8, or is nested too deeply.",
    404: "There is nothing at this address; GET / says what there is.",
    405: "This address does not take this method; the header Allow says which it takes.",
}


def _field_errors(error: Exception) -> list[FieldError] | None:
    if isinstance(error, InvalidRequest):
        return error.errors
    if isinstance(error, RequestValidationError):
        return [_field_error(found) for found in error.errors()[:MAX_FIELD_ERRORS]]
    return None


def _field_error(found: Mapping[str, Any]) -> FieldError:
    where, *path = found["loc"]
    if found["type"] == "json_invalid":
        return FieldError(
            pointer="",
            detail=f"Not valid JSON: {found['ctx']['error']} at character {path[0]}",
        )
    steps = path if where in {"body", "query"} else [where, *path]
    return FieldError(pointer=pointer(*steps), detail=found["msg"])


def response(error: Exception, request_id: str) -> Response:
    """The HTTP answer that tells the client of ``error``."""
    told = problem(error, request_id)
    error = cause_of(error)
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if isinstance(error, (EngineBusy, EngineUnavailable)):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, (AppError, HTTPException)):
        headers |= error.headers or {}
    body = told.model_dump_json(exclude_none=True)
    return Response(body, told.status, headers, MEDIA_TYPE)


async def handle(request: Request, error: Exception) -> Response:
    """Answer an error that left a route."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        error.headers = {"Allow": allowed(request)}
    return response(error, request.state.request_id)


HANDLED: tuple[type[Exception], ...] = (
    AppError,
    TurnFailed,
    ProviderError,
    RequestValidationError,
    HTTPException,
)
"""The roots of the tree, each to be registered with ``handle``; what is left is a bug."""
