"""How errors look."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from app.anthropic.errors import OVERLOADED, type_of
from app.web.openapi import Responses
from app.web.problem_details import TITLES

ERRORS = (400, 401, 403, 404, 405, 409, 413, 421, 499, 500, 502, OVERLOADED)
"""What every route may answer with."""


class ErrorFields(BaseModel):
    """What went wrong."""

    type: str = Field(examples=["invalid_request_error", "overloaded_error", "api_error"])
    message: str = Field(description="What happened here, in one sentence.")


class ErrorAnswer(BaseModel):
    """An error, in Anthropic's form."""

    type: Literal["error"] = "error"
    error: ErrorFields
    request_id: str = Field(description="Also in the header request-id, and in the log.")


def errors() -> Responses:
    """Document that a route may answer with errors."""
    return {status: _error(status) for status in ERRORS}


def _error(status: int) -> dict[str, object]:
    title = TITLES.get(status, "Overloaded")
    answer: dict[str, object] = {
        "description": f"{title}: `{type_of(status)}`",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
    }
    if status == OVERLOADED:
        retry = {"schema": {"type": "integer"}, "description": "Seconds to wait, at most 120."}
        answer["headers"] = {"Retry-After": retry}
    return answer
