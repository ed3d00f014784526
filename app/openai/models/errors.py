"""How errors look."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.web.openapi import Responses
from app.web.problem_details import TITLES

COMMON_ERRORS = (401, 403, 421, 500)
GENERATION_ERRORS = (400, 401, 403, 404, 409, 413, 415, 421, 429, 499, 500, 502, 503)


class ErrorFields(BaseModel):
    """What went wrong."""

    message: str = Field(description="What happened here, in one sentence.")
    type: str = Field(examples=["invalid_request_error", "rate_limit_error", "server_error"])
    param: str | None = Field(description="The field that is wrong, like messages[0].content.")
    code: str | None = Field(description="A stable name of this kind of error.")


class ErrorAnswer(BaseModel):
    """An error, in OpenAI's form."""

    error: ErrorFields


class PlainError(BaseModel):
    """An error in Cohere's form, as the paths under ``/v2`` answer it."""

    id: str
    message: str = Field(description="What happened here, in one sentence.")


def errors(*statuses: int, form: type[BaseModel] = ErrorAnswer) -> Responses:
    """Document that a route may answer with these errors."""
    schema = {"$ref": f"#/components/schemas/{form.__name__}"}
    return {status: _error(status, schema) for status in statuses}


def _error(status: int, schema: dict[str, str]) -> dict[str, object]:
    answer: dict[str, object] = {
        "description": TITLES[status],
        "content": {"application/json": {"schema": schema}},
    }
    if status in {429, 503}:
        retry = {"schema": {"type": "integer"}, "description": "Seconds to wait, at most 120."}
        answer["headers"] = {"Retry-After": retry}
    return answer
