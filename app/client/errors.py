"""What a request ends with that is not answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SLLMError(Exception):
    """``str()`` is one sentence. ``status`` is that of HTTP; ``code``, ``param`` as the API's."""

    def __init__(
        self, message: str, status: int, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


class ServerUnreachable(SLLMError):
    """No server answers at that address, or it does not answer in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 503)


def error_of(status: int, body: Mapping[str, Any]) -> SLLMError:
    """The error that an object of the dialect stands for."""
    found = body.get("error")
    if not isinstance(found, Mapping):
        return SLLMError(f"The server answered with the status {status}.", status)
    message = str(found.get("message") or f"The server answered with the status {status}.")
    return SLLMError(message, status, found.get("code"), found.get("param"))
