"""What a client can be told went wrong, and the one table of status codes.

Exception                      anything not below: our bug, answered 500 without its message
├── ProviderError              app/provider/errors.py: the model cannot answer (now)
├── HTTPException              no such route, no such method, body unreadable or too large
├── RequestValidationError     raised by the framework: the body is not what the schema says
└── ApiError
    ├── InvalidRequest         the body breaks a limit that comes from the settings
    ├── KeyRequired            no API key, or a wrong one
    ├── OpenBindRefused        reached from outside this machine although there are no keys
    ├── HostNotAllowed         the Host header names another site (DNS rebinding)
    ├── OriginNotAllowed       a web page of another site tries to change something
    ├── MediaTypeNotSupported  the body is not declared as JSON
    └── ClientGone             the client hung up; nobody reads the answer

Every answer that is an error is a problem object (RFC 9457) with a stable ``code``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    ModelConflict,
    ModelNotFound,
    ModelNotLoadable,
    ProviderError,
    UnsupportedInput,
)

MEDIA_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 20


class FieldError(BaseModel):
    """One thing wrong with a request body."""

    pointer: str = Field(description="JSON pointer (RFC 6901) to the value; empty: all of it.")
    detail: str = Field(description="What is wrong with it.")


class ApiError(Exception):
    """Root of the errors of the web layer; ``str()`` is one sentence fit for the user."""

    headers: ClassVar[Mapping[str, str]] = {}


class InvalidRequest(ApiError):
    """The value at ``pointer`` breaks a limit that the schema cannot know."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.errors = [FieldError(pointer=pointer, detail=detail)]


class KeyRequired(ApiError):
    """No API key was sent, or one that is not among API_KEYS."""

    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class OpenBindRefused(ApiError):
    """The server listens beyond this machine, without keys and without the opt-out."""


class HostNotAllowed(ApiError):
    """The Host header names a host that this server does not answer for."""


class OriginNotAllowed(ApiError):
    """A page of another origin sent a request that changes something."""


class MediaTypeNotSupported(ApiError):
    """The body of a JSON route is not declared as JSON."""


class ClientGone(ApiError):
    """The client hung up before its answer was ready."""


TABLE: dict[type[Exception], tuple[int, str]] = {
    RequestValidationError: (422, "invalid-request"),
    InvalidRequest: (422, "invalid-request"),
    ContextOverflow: (400, "context-length-exceeded"),
    UnsupportedInput: (400, "unsupported-input"),
    KeyRequired: (401, "api-key-required"),
    OpenBindRefused: (403, "open-bind-refused"),
    OriginNotAllowed: (403, "origin-not-allowed"),
    ModelNotFound: (404, "model-not-found"),
    ModelConflict: (409, "model-conflict"),
    ModelNotLoadable: (409, "model-not-loadable"),
    MediaTypeNotSupported: (415, "media-type-not-supported"),
    HostNotAllowed: (421, "host-not-allowed"),
    EngineBusy: (429, "engine-busy"),
    ClientGone: (499, "client-gone"),
    EngineUnavailable: (503, "engine-unavailable"),
    Exception: (500, "internal-error"),
}
"""Status and code of every error; the nearest class wins."""

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    499: "Client Closed Request",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""Names of the statuses; Python's own change from version to version."""

FRAMEWORK = {
    400: "malformed-body",
    404: "not-found",
    405: "method-not-allowed",
    413: "request-too-large",
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


def problem(error: Exception, request_id: str) -> Problem:
    """Describe any error to the client; one that is our bug keeps its message for the log."""
    status, code = _kind(error)
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


def _kind(error: Exception) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        return error.status_code, FRAMEWORK.get(error.status_code, "http-error")
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def _detail(error: Exception, errors: Sequence[FieldError] | None) -> str:
    if isinstance(error, HTTPException):
        return _FRAMEWORK_DETAIL.get(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError) and errors:
        return f"{errors[0].pointer or 'The body'}: {errors[0].detail}"
    if isinstance(error, (ApiError, ProviderError)):
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
    steps = path if where == "body" else [where, *path]
    return FieldError(pointer="".join(f"/{_escape(step)}" for step in steps), detail=found["msg"])


def _escape(step: object) -> str:
    # A key the client made up may hold half a surrogate pair, which no answer can carry.
    name = str(step)[:100].encode("utf-8", "backslashreplace").decode()
    return name.replace("~", "~0").replace("/", "~1")


def response(error: Exception, request_id: str) -> Response:
    """The HTTP answer that tells the client of ``error``."""
    told = problem(error, request_id)
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if isinstance(error, (EngineBusy, EngineUnavailable)):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, (ApiError, HTTPException)):
        headers |= error.headers or {}
    body = told.model_dump_json(exclude_none=True)
    return Response(body, told.status, headers, MEDIA_TYPE)


async def handle(request: Request, error: Exception) -> Response:
    """Answer an error that left a route."""
    return response(error, request.state.request_id)


HANDLED: tuple[type[Exception], ...] = (
    ApiError,
    ProviderError,
    RequestValidationError,
    HTTPException,
)
"""The roots of the tree, each to be registered with ``handle``; what is left is a bug."""
