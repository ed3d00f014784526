"""Errors in OpenAI's form: ``{"error": {"message", "type", "param", "code"}}``.

Clients branch on the status, on ``code`` (always a string or null) and on the headers
``Retry-After`` and ``x-should-retry``: without them they send what fails again three times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.conversations.errors import HistoryTooLong, MessageNotFound, cause_of
from app.encoding.errors import NoEncoder, QueryTooLong, TooManyDimensions, UnknownPrompt
from app.errors import AppError, FieldError, InvalidRequest, written
from app.idempotency.errors import IdempotencyKeyReused
from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    InputTooLong,
    ModelNotFound,
    ProviderError,
    UnsupportedConstraint,
)
from app.web.error_codes import kind_of_error
from app.web.error_text import FRAMEWORK_DETAIL, reason_of, sdk_headers
from app.web.errors import KeyRequired

CODES: dict[type[Exception], str] = {
    KeyRequired: "invalid_api_key",
    ModelNotFound: "model_not_found",
    NoEncoder: "model_not_found",
    ContextOverflow: "context_length_exceeded",
    InputTooLong: "context_length_exceeded",
    UnsupportedConstraint: "unsupported_constraint",
}
"""Codes that clients look for; others are named as under ``/api``."""

FRAMEWORK = {404: "unknown_url", 405: "method_not_supported", 400: "invalid_json"}
"""Codes of HTTPException, by its status."""

PARAMS: dict[type[Exception], str] = {
    ModelNotFound: "model",
    NoEncoder: "model",
    ContextOverflow: "messages",
    TooManyDimensions: "dimensions",
    UnknownPrompt: "input_type",
    QueryTooLong: "query",
}
"""The field that an error is about."""

_INVALID = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
    "json_invalid": "invalid_json",
}
"""Kind of a mistake → its code."""


class ErrorBody(NamedTuple):
    """The fields of ``error``."""

    message: str
    type: str
    param: str | None
    code: str | None


def render(error: Exception, request_id: str) -> Response:
    """The HTTP answer that describes ``error``."""
    error = cause_of(error)
    status = status_of(error)
    return JSONResponse(body_of(error, request_id), status, sdk_headers(error, status))


def render_plainly(error: Exception, request_id: str) -> Response:
    """The same in Cohere's form, which is a sentence, for the paths under ``/v2``."""
    error = cause_of(error)
    status = status_of(error)
    body = {"id": request_id, "message": describe(error, request_id).message}
    return JSONResponse(body, status, sdk_headers(error, status))


def body_of(error: Exception, request_id: str) -> dict[str, Any]:
    """The JSON object that describes ``error``, also in the middle of a stream."""
    return {"error": describe(cause_of(error), request_id)._asdict()}


def status_of(error: Exception) -> int:
    """OpenAI answers 400 where ``/api`` answers 422, and clients tell the two apart.

    Clients that send idempotency keys look for 422, which the draft of that header asks for.
    """
    status = kind_of_error(error).status
    return 400 if status == 422 and not isinstance(error, IdempotencyKeyReused) else status


def describe(error: Exception, request_id: str) -> ErrorBody:
    """The fields that say what went wrong."""
    status = status_of(error)
    if status == 500:
        mistake = f"The server made a mistake. Please report it with the id {request_id}."
        return ErrorBody(mistake, "server_error", None, None)
    if status >= 500:
        return ErrorBody(_message(error), "server_error", None, None)
    if status == 429:
        return ErrorBody(_busy(error), "rate_limit_error", None, "rate_limit_exceeded")
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors()[0])
    return ErrorBody(_message(error), "invalid_request_error", _param(error), _code(error))


def _message(error: Exception) -> str:
    if isinstance(error, HTTPException):
        return FRAMEWORK_DETAIL.get(error.status_code, str(error.detail))
    if isinstance(error, ContextOverflow):
        # LangChain looks for the first words, and finds no code.
        return f"The prompt is too long: {error.needed} tokens > {error.limit} maximum."
    if isinstance(error, HistoryTooLong):
        return (
            f"The input has {error.length} messages before the last one; this server takes "
            f"{error.longest} (the setting MAX_HISTORY_LENGTH). Let truncation be auto."
        )
    if isinstance(error, (AppError, ProviderError)):
        return str(error)
    return "The request failed."


def _busy(error: Exception) -> str:
    """Some clients read the seconds out of the sentence."""
    seconds = error.retry_after if isinstance(error, (AppError, EngineBusy)) else None
    return f"{_message(error)} Please try again in {seconds or 1:g}s."


def _code(error: Exception) -> str:
    if isinstance(error, HTTPException) and error.status_code in FRAMEWORK:
        return FRAMEWORK[error.status_code]
    if isinstance(error, InvalidRequest):
        return error.code if isinstance(error, InvalidParameter) else "invalid_value"
    known = next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), None)
    return known or kind_of_error(error).code.replace("-", "_")


def _param(error: Exception) -> str | None:
    if isinstance(error, InvalidRequest):
        return _param_of_pointer(error.errors[0])
    return PARAMS.get(type(error))


def _param_of_pointer(found: FieldError) -> str | None:
    steps = found.pointer.split("/")[1:]
    return param(int(step) if step.isdecimal() else step for step in steps)


def _invalid(found: Mapping[str, Any]) -> ErrorBody:
    _, *steps = found["loc"]
    where = None if found["type"] == "json_invalid" else param(steps)
    message = f"{where or 'The body'}: {reason_of(found)}."
    code = _INVALID.get(found["type"], "invalid_value")
    return ErrorBody(message, "invalid_request_error", where, code)


def param(steps: Iterable[object]) -> str | None:
    """A place in the body as OpenAI writes it: ``messages[0].content``."""
    place = ""
    for step in steps:
        if isinstance(step, int):
            place += f"[{step}]"
        else:
            place += f".{written(step)}" if place else written(step)
    return place or None


class ResponseNotFound(MessageNotFound):
    """No stored response of this owner has that id."""

    def __str__(self) -> str:
        return f"Response with id {self.message_id[:100]!r} not found."


class InvalidParameter(InvalidRequest):
    """A field has a value, or is there at all, which this server cannot honour."""

    def __init__(self, pointer: str, detail: str, code: str = "unsupported_parameter") -> None:
        super().__init__(pointer, detail)
        self.code = code
