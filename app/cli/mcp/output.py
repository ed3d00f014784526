"""What goes to the host: lines of JSON on the standard output, and nothing else."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import Any

INTERNAL_ERROR = -32603


class Output:
    """Writes whole lines from any thread.

    It takes the standard output for itself: what anything else prints goes to the standard error.
    """

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Write a message; a host that has gone is nobody to write to."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError:
                os._exit(0)

    def result(self, request_id: object, result: Mapping[str, Any]) -> None:
        """Answer a request."""
        self.send({"jsonrpc": "2.0", "id": request_id, "result": result})

    def error(self, request_id: object, error: Mapping[str, Any]) -> None:
        """Refuse a request."""
        self.send({"jsonrpc": "2.0", "id": request_id, "error": error})

    def failure(self, request_id: object, sentence: str) -> None:
        """Say that a request could not be passed on."""
        self.error(request_id, {"code": INTERNAL_ERROR, "message": sentence})
