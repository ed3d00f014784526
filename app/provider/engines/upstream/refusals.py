"""Makes errors of the provider of what another server answers in place of an answer.

Whatever it says is a stranger's text: it is cut, and made one printable line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from app.provider.engines.upstream.json_fields import count_of
from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    InputTooLong,
    ModelNotLoadable,
    ProviderError,
    UnsupportedConstraint,
    UnsupportedInput,
)
from app.provider.runtime.load_errors import sentence

LONGEST_WAIT = 3600.0
"""Seconds of a Retry-After that is believed."""
_USUAL_WAIT = 5.0

_NUMBERS = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"prompt is too long: (?P<n>\d+) tokens > (?P<l>\d+)",
        r"\((?P<n>\d+) tokens\) (?:exceeds|is larger than) the (?:available|max) context size"
        r" \((?P<l>\d+)",
        r"maximum context length is (?P<l>\d+) tokens.{0,200}?"
        r"prompt contains (?:at least )?(?P<n>\d+)",
        r"maximum context length is (?P<l>\d+) tokens.{0,200}?\((?P<n>\d+) in the ",
        r"maximum context length is (?P<l>\d+) tokens.{0,200}?"
        r"(?:has|resulted in|requested) (?P<n>\d+)",
        r"\((?P<n>\d+) tokens\) is longer than the model's context length \((?P<l>\d+)",
        r"maximum context length of (?P<l>\d+) tokens.{0,200}?(?P<n>\d+) tokens from the input",
        r"\(length (?P<n>\d+)\) is longer than the maximum model length of (?P<l>\d+)",
        r"first (?P<n>\d+) tokens when.{0,100}?context length of only (?P<l>\d+)",
    )
]
"""How servers say how long a prompt is (n) and how long it may be (l)."""

_INPUT_TOO_LONG = re.compile(
    r"input at index (\d{1,9}) has (\d{1,9}) tokens .{0,100}at most (\d{1,9})"
)
"""How we say it ourselves."""
_OVERFLOW = re.compile(
    r"context[ _](?:length|size|window)|maximum model length|prompt is too long", re.IGNORECASE
)
_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "engine_busy": 429,
    "engine_unavailable": 503,
    "server_error": 503,
    "service_unavailable": 503,
    "internal_server_error": 500,
    "model_not_found": 404,
    "invalid_api_key": 401,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """What a server answered: an HTTP status, or what would have been it in a stream, and why."""

    server: str
    status: int
    message: str
    code: str = ""
    retry_after: float | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    def error(self) -> ProviderError:
        """The error of the provider."""
        status = self.status or _STATUS_OF_CODE.get(self.code, 500)
        if status in {400, 413, 422}:
            return self._of_input()
        if status in {401, 403}:
            why = f"does not accept this server's key: {self.message}"
            return ModelNotLoadable(self._sentence(why), False)
        if status == 404:
            return ModelNotLoadable(self._sentence(f"does not have it: {self.message}"), False)
        if 300 <= status < 400:
            why = "sends requests on to another address, which is not followed: correct base_url"
            return ModelNotLoadable(self._sentence(why), False)
        wait = _USUAL_WAIT if self.retry_after is None else self.retry_after
        if status == 429:
            return EngineBusy(self._sentence(f"is busy: {self.message}"), wait)
        return EngineUnavailable(self._sentence(f"failed: {self.message}"), wait)

    def _of_input(self) -> ProviderError:
        if overflow := self._overflow():
            return overflow
        kind = UnsupportedConstraint if "constraint" in self.code else UnsupportedInput
        return kind(self._sentence(f"refused the request: {self.message}"))

    def _overflow(self) -> ContextOverflow | InputTooLong | None:
        """How much too long the prompt is; None where it is something else."""
        found = self.fields
        if match := _INPUT_TOO_LONG.search(self.message):
            return InputTooLong(*map(int, match.groups()))
        if found.get("type") == "exceed_context_size_error":
            needed, limit = count_of(found, "n_prompt_tokens"), count_of(found, "n_ctx")
            if needed is not None and limit is not None:
                return ContextOverflow(needed, limit)
        for pattern in _NUMBERS:
            if match := pattern.search(self.message):
                return ContextOverflow(int(match["n"][:9]), int(match["l"][:9]))
        if self.code == "context_length_exceeded" or _OVERFLOW.search(self.message):
            return ContextOverflow(0, 0)
        return None

    def _sentence(self, what: str) -> str:
        return sentence(f"The server {self.server} {what}").rstrip(".") + "."


def unavailable(server: str, what: str, retry_after: float = _USUAL_WAIT) -> EngineUnavailable:
    """The error of a server that is not there, or that answers what it should not."""
    return EngineUnavailable(sentence(f"The server {server} {what}."), retry_after)


def refusal_of(server: str, status: int, body: bytes, retry_after: str = "") -> Refused:
    """What a response says that is no success."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    found = refusal_in(server, payload, status) if payload else None
    text = body.decode("utf-8", "replace").strip()
    message = found.message if found else text[:300] or f"HTTP status {status}"
    return Refused(
        server,
        status,
        sentence(message),
        found.code if found else "",
        _seconds(retry_after),
        found.fields if found else {},
    )


def refusal_in(server: str, payload: Any, status: int = 0) -> Refused | None:
    """The error that a JSON object describes; None where it describes none.

    In a stream, the status is what the object says it is.
    """
    if not isinstance(payload, dict):
        return None
    error = payload.get("error")
    if payload.get("object") == "error" or (status and error is None):
        error = payload
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return None
    detail = error.get("message", error.get("detail"))
    message = detail if isinstance(detail, str) and detail else json.dumps(error)[:300]
    code = error.get("code")
    return Refused(
        server,
        status or _status(error),
        sentence(message),
        code if isinstance(code, str) else str(error.get("type") or ""),
        fields=error,
    )


def _status(error: dict[str, Any]) -> int:
    """The HTTP status that an error in a stream would have had."""
    code, kind = error.get("code"), str(error.get("type") or "")
    if isinstance(code, int) and 400 <= code < 600:
        return code
    if str(code) in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[str(code)]
    if "context_length" in str(code) or "invalid_request" in kind or "BadRequest" in kind:
        return 400
    return _STATUS_OF_CODE.get(kind, 500)


def _seconds(retry_after: str) -> float | None:
    """The seconds of a Retry-After; None for a date, or for none."""
    try:
        return min(max(float(retry_after), 0.0), LONGEST_WAIT)
    except ValueError:
        return None
