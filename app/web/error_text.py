"""What every dialect says of the same mistakes, and the headers that clients' SDKs branch on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.conversations.errors import cause_of
from app.errors import AppError, written
from app.provider.errors import ProviderError
from app.web.error_rendering import headers_of

FRAMEWORK_DETAIL = {
    400: "The body is not valid JSON in UTF-8, or is nested too deeply.",
    404: "There is nothing at this address.",
    405: "This address does not take this method; the header Allow says which it takes.",
}
"""Sentences of HTTPException, by its status."""

LONGEST_WAIT = 120
"""Seconds: OpenAI's SDKs do not try again at all where Retry-After is longer."""

FAILS_AGAIN = frozenset({409, 500, 501, 505})
"""Statuses that the SDKs would send again, in vain unless the answer says when to."""


def sdk_headers(error: Exception, status: int) -> dict[str, str]:
    """The headers of an answer to an SDK that sends again by itself what failed."""
    headers = headers_of(error)
    if "Retry-After" in headers:
        headers["Retry-After"] = str(min(int(headers["Retry-After"]), LONGEST_WAIT))
    if status in FAILS_AGAIN and "Retry-After" not in headers:
        headers["x-should-retry"] = "false"
    return headers


def error_sentence(error: Exception, request_id: str) -> str:
    """What went wrong, in one sentence; only the log has the text of an error that is a bug."""
    match cause_of(error):
        case RequestValidationError() as error:
            return mistake_sentence(error.errors()[0])
        case HTTPException() as error:
            return FRAMEWORK_DETAIL.get(error.status_code, str(error.detail))
        case AppError() | ProviderError() as error:
            return str(error)
        case _:
            return f"The server made a mistake. Please report it with the id {request_id}."


def mistake_sentence(mistake: Mapping[str, Any]) -> str:
    """One thing wrong with a body, after its place: ``messages.0.content: …``."""
    _, *steps = mistake["loc"]
    if mistake["type"] == "json_invalid":  # its place is a number of characters
        steps = []
    where = ".".join(map(written, steps))
    return f"{where or 'The body'}: {reason_of(mistake)}."


def reason_of(mistake: Mapping[str, Any]) -> str:
    """What is wrong with a value of a body, as pydantic reports it."""
    reason: str = mistake["msg"].removeprefix("Value error, ")
    return reason or mistake.get("ctx", {}).get("error", "")
