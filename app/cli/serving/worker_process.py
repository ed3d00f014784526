"""A worker as its parent sees it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

from app.cli.serving.messages import Assignment, Report, encode, read_report
from app.provider.runtime import child_process

END_SECONDS = 2.0
"""How long a process that has closed its socket may take to end."""


class WorkerProcess:
    """A running worker."""

    def __init__(self, child: child_process.Child) -> None:
        self._child = child
        self.pid = child.popen.pid

    @classmethod
    async def start(cls, number: int, assignment: Assignment, listener: int) -> WorkerProcess:
        """Start it with the descriptor of the socket that it listens on; raises OSError."""
        child = await child_process.start(
            "app.cli.serving.worker", os.environ, str(number), inherited=(listener,)
        )
        child.writer.write(encode(assignment) + b"\n")
        return cls(child)

    async def reports(self) -> AsyncIterator[Report]:
        """What it says, until it ends."""
        with suppress(ConnectionError, ValueError, msgspec.DecodeError):
            while line := await self._child.reader.readline():
                yield read_report(line)

    async def exit_code(self) -> int:
        """Wait until it has ended; negative: the number of the signal that killed it."""
        self._child.writer.close()
        return await asyncio.to_thread(self._reap)

    def _reap(self) -> int:
        try:
            return self._child.popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.popen.kill()
            return self._child.popen.wait()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._child.popen.send_signal(number)
