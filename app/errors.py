"""The root of the errors of the domain and the edge, and requests that break a rule.

Each package has its own errors in its ``errors.py``, the engines in ``app/provider/errors.py``.
Errors carry facts. ``app/web/error_codes.py`` gives each a status and a code, and each dialect
renders them in its own form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_FIELD_ERRORS = 20
"""How many mistakes of one body are reported at most."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request body.

    ``pointer`` is a JSON pointer (RFC 6901) to the value; empty: the whole body.
    """

    pointer: str
    detail: str


class AppError(Exception):
    """Root of the tree; ``str()`` is one sentence fit for the user.

    ``retry_after``: seconds after which the same request may succeed, if waiting helps.
    """

    retry_after: float | None = None


class InvalidRequest(AppError):
    """The value at ``pointer`` breaks a limit that the schema cannot know."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.errors = [FieldError(pointer, detail)]

    @classmethod
    def of(cls, errors: Sequence[FieldError]) -> InvalidRequest:
        """Several things that are wrong at once; the sentence names them all."""
        error = cls("", "; ".join(found.detail for found in errors) + ".")
        error.errors = list(errors)
        return error


def pointer(*steps: object) -> str:
    """The JSON pointer that takes these steps."""
    return "".join(f"/{_escape(step)}" for step in steps)


def written(step: object) -> str:
    """A step of a path into a body, as an answer can carry it.

    A key that the client made up may be long, or hold half a surrogate pair.
    """
    return str(step)[:100].encode("utf-8", "backslashreplace").decode()


def _escape(step: object) -> str:
    return written(step).replace("~", "~0").replace("/", "~1")
