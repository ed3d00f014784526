"""``sllm mcp`` as a host starts it: a process with pipes."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.proxy.nginx import free_ports

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "app.cli", "mcp")


class Host:
    """Sends messages to a server that it has started, and keeps what comes back."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: queue.Queue[tuple[float, bytes]] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put((time.monotonic(), line))

    def close(self) -> None:
        """Close the input, as a host does that ends, and wait for the end of the process."""
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(60)
        self._reading.join()
        self.process.stdout.close()

    def send(self, message: dict[str, Any] | bytes) -> None:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self, timeout: float = 60) -> dict[str, Any]:
        """The next message, which is JSON on a line of its own."""
        found: dict[str, Any] = json.loads(self._lines.get(timeout=timeout)[1])
        return found

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; nothing else may come before it."""
        self.send(message)
        answer = self.receive()
        assert answer["id"] == message["id"], answer
        return answer

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        try:
            self._lines.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


@contextmanager
def started(command: Sequence[str | Path] = COMMAND, **environment: str | Path) -> Iterator[Host]:
    """Start the command in this project, with these variables."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    host = Host(process)
    try:
        yield host
    finally:
        host.close()


def free_port() -> int:
    (port,) = free_ports(1)
    return port
