"""Errors as problem details (RFC 9457) with a stable ``code``: the form that ``/api`` uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app import errors as domain
from app.conversations.errors import TurnFailed
from app.errors import MAX_FIELD_ERRORS, AppError, InvalidRequest, pointer
from app.provider.errors import ContextOverflow, ProviderError
from app.web.error_codes import kind_of_error
from app.web.error_rendering import headers_of
from app.web.error_text import FRAMEWORK_DETAIL
from app.web.problem_hints import with_hint

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


class FieldError(BaseModel):
    """One thing wrong with a request body."""

    pointer: str = Field(description="JSON pointer (RFC 6901) to the value; empty: all of it.")
    detail: str = Field(description="What is wrong with it.")


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
    status, code, _ = kind_of_error(error)
    mistakes = _field_errors(error)
    return Problem(
        title=TITLES[status],
        status=status,
        detail=_detail(error, mistakes),
        code=code,
        request_id=request_id,
        errors=None if mistakes is None else [_wire(mistake) for mistake in mistakes],
        needed=error.needed if isinstance(error, ContextOverflow) else None,
        limit=error.limit if isinstance(error, ContextOverflow) else None,
    )


def _detail(error: Exception, mistakes: Sequence[domain.FieldError] | None) -> str:
    if isinstance(error, HTTPException):
        return _FRAMEWORK_DETAIL.get(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError) and mistakes:
        return f"{mistakes[0].pointer or 'The body'}: {mistakes[0].detail}"
    if isinstance(error, (AppError, ProviderError)):
        return with_hint(error)
    return "The server made a mistake. Please report it with the request_id."


_FRAMEWORK_DETAIL = FRAMEWORK_DETAIL | {
    404: "There is nothing at this address; GET / says what there is."
}


def _wire(mistake: domain.FieldError) -> FieldError:
    return FieldError(pointer=mistake.pointer, detail=mistake.detail)


def _field_errors(error: Exception) -> list[domain.FieldError] | None:
    if isinstance(error, InvalidRequest):
        return error.errors
    if isinstance(error, RequestValidationError):
        return [_field_error(found) for found in error.errors()[:MAX_FIELD_ERRORS]]
    return None


def _field_error(found: Mapping[str, Any]) -> domain.FieldError:
    where, *path = found["loc"]
    if found["type"] == "json_invalid":
        return domain.FieldError(
            "", f"Not valid JSON: {found['ctx']['error']} at character {path[0]}"
        )
    steps = path if where in {"body", "query"} else [where, *path]
    return domain.FieldError(pointer(*steps), found["msg"])


def render(error: Exception, request_id: str) -> Response:
    """The HTTP answer that describes ``error``."""
    described = problem(error, request_id)
    body = described.model_dump_json(exclude_none=True)
    return Response(body, described.status, headers_of(error), MEDIA_TYPE)
