"""The process that lists or downloads from a hub: ``python -m app.provider.hub FD``.

It reads one request from the socket FD, answers in lines of JSON and ends. It ends at once when
its parent does.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from app.provider.hub.download import fetch, find, preflight
from app.provider.hub.errors import HubError
from app.provider.hub.names import Hubs, ModelReference
from app.provider.hub.plan import Plan

_REPORT_SECONDS = 0.2


class _ProgressWriter:
    """Writes messages to the parent, and the bytes that have arrived a few times a second."""

    def __init__(self, lines: BufferedRWPair) -> None:
        self._lines = lines
        self._written_at = 0.0

    def write(self, **message: Any) -> None:
        self._lines.write(json.dumps(message).encode() + b"\n")
        self._lines.flush()

    def report(self, arrived: int) -> None:
        if time.monotonic() - self._written_at > _REPORT_SECONDS:
            self._written_at = time.monotonic()
            self.write(arrived=arrived)


def _work(request: dict[str, Any], writer: _ProgressWriter) -> None:
    models_dir, hubs = Path(request["models_dir"]), Hubs(**request["hubs"])
    if request["wanted"]:
        plan = find(hubs, ModelReference(**request["wanted"]))
        preflight(plan, models_dir)
        writer.write(plan=plan.values())
    else:
        plan = Plan.of(request["plan"])
        fetch(hubs, plan, models_dir, writer.report)
        writer.write(arrived=plan.size)


def _end_with_parent(lines: BufferedRWPair) -> None:
    lines.read()  # nothing more is sent: this returns when the parent has closed the socket or died
    os._exit(1)


def main() -> None:
    """Read the parent's request and carry it out."""
    lines = socket.socket(fileno=int(sys.argv[1])).makefile("rwb")
    request = json.loads(lines.readline())
    writer = _ProgressWriter(lines)
    threading.Thread(target=_end_with_parent, args=(lines,), daemon=True).start()
    try:
        _work(request, writer)
    except HubError as error:
        writer.write(problem=[type(error).__name__, str(error)])
    except OSError as error:
        writer.write(problem=[HubError.__name__, f"The disk refuses: {error.strerror}."])
    os._exit(0)  # without waiting for the thread that reads


if __name__ == "__main__":
    main()
