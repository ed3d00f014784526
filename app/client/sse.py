"""Reads the chunks of a stream out of server-sent events."""

from __future__ import annotations

import json
from typing import Any

from app.client.errors import error_of

BROKEN_OFF = {"error": {"message": "The answer broke off.", "code": "answer_broken_off"}}


class ChunkReader:
    """Takes lines; ``ended`` once the last one has come."""

    def __init__(self) -> None:
        self.ended = False

    def chunk(self, line: str) -> dict[str, Any] | None:
        """The chunk in a line, if there is one; raises SLLMError."""
        kind, _, data = line.partition(": ")
        if kind != "data":
            return None
        if data == "[DONE]":
            self.ended = True
            return None
        found: dict[str, Any] = json.loads(data)
        if "error" in found:
            raise error_of(500, found)
        return found

    def require_end(self) -> None:
        """Raise SLLMError for an answer without an end."""
        if not self.ended:
            raise error_of(502, BROKEN_OFF)
