"""The root of all errors that clients are told of, and requests that break a rule.

Each package of the domain and of the edge has its own in ``errors.py``, the engines in
``app/provider/errors.py``. Errors carry facts; ``app/web/error_codes.py`` names status and code,
and each dialect renders them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, Field

MAX_FIELD_ERRORS = 20
"""What is told of one body at most."""


class FieldError(BaseModel):
    """One thing wrong with a request body."""

    pointer: str = Field(description="JSON pointer (RFC 6901) to the value; empty: all of it.")
    detail: str = Field(description="What is wrong with it.")


class AppError(Exception):
    """Root of the errors of the web layer; ``str()`` is one sentence fit for the user."""

    headers: ClassVar[Mapping[str, str]] = {}


class InvalidRequest(AppError):
    """The value at ``pointer`` breaks a limit that the schema cannot know."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.errors = [FieldError(pointer=pointer, detail=detail)]

    @classmethod
    def of(cls, errors: Sequence[FieldError]) -> InvalidRequest:
        """Several things that are wrong at once; the sentence names them all."""
        error = cls("", "; ".join(found.detail for found in errors) + ".")
        error.errors = list(errors)
        return error


def pointer(*steps: object) -> str:
    """The JSON pointer that takes these steps."""
    return "".join(f"/{_escape(step)}" for step in steps)


def _escape(step: object) -> str:
    # A key the client made up may hold half a surrogate pair, which no answer can carry.
    name = str(step)[:100].encode("utf-8", "backslashreplace").decode()
    return name.replace("~", "~0").replace("/", "~1")
