"""Whether a server runs in the background, and where: a file that its keeper has locked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("logs")
"""Below the current folder, like the database."""
STATE = FOLDER / "server.state"
LOG = FOLDER / "server.log"


@dataclass(frozen=True, slots=True)
class Running:
    """A keeper that runs: its process, and the server's address once it answers."""

    pid: int
    address: str


def running() -> Running | None:
    """What runs now. The lock decides: a number in a file may be that of another process."""
    try:
        with STATE.open(encoding="utf-8") as file:
            if _lock(file.fileno()):
                return None
            pid, _, address = file.read().partition("\n")
    except FileNotFoundError:
        return None
    return Running(int(pid or 0), address.strip())


class AlreadyRunning(Exception):
    """Another keeper holds the lock."""


class StateFile:
    """The file, as its keeper has it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.write("")

    def write(self, address: str) -> None:
        """Say which process this is, and where the server answers."""
        content = f"{os.getpid()}\n{address}\n".encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))


@contextmanager
def held() -> Iterator[StateFile]:
    """Hold the lock until the end of the context; raises AlreadyRunning."""
    FOLDER.mkdir(exist_ok=True)
    descriptor = os.open(STATE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor):
            raise AlreadyRunning
        yield StateFile(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
