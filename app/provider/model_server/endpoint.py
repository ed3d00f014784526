"""Where a model server listens: a unix socket in a folder of the user's own, and its lock.

Whoever holds the lock is the server, or is starting it. The system frees the lock of a process
that has ended, so a socket whose lock can be taken is left over.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

LONGEST_PATH = 100
"""Bytes of the path of a unix socket; some systems take 108, others 104."""

BACKLOG = 128

_PAUSE_SECONDS = 0.02


class NotPrivate(OSError):
    """The folder of the sockets is not this user's own."""


class Endpoint:
    """The socket and the lock of the model server of that name."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._folder = folder or runtime_folder()
        self.path = self._folder / f"{name}.sock"
        self._lock = self._folder / f"{name}.lock"
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            raise OSError(f"The path {self.path} is too long for a socket.")

    def connect(self) -> socket.socket | None:
        """A connection to the server that listens; None where none does. Raises OSError."""
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            sock.connect(os.fspath(self.path))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            sock.close()
            return None
        except BaseException:
            sock.close()
            raise
        return sock

    def lock(self) -> int | None:
        """Take the lock; its descriptor, or None where another process has it. Raises OSError."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def listen(self) -> socket.socket:
        """Listen, in place of a server that was killed. Only who has the lock may do this."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(self.path))
        self.path.chmod(0o600)
        listener.listen(BACKLOG)
        return listener

    def remove(self) -> None:
        """Take the socket away. Only who has the lock may do this."""
        self.path.unlink(missing_ok=True)

    async def connect_or_start(self, start: Callable[[int], Awaitable[None]]) -> socket.socket:
        """Connect; where no server listens, start one, or wait for who is starting it.

        ``start`` gets the descriptor of the lock, and returns when the server listens. Raises
        OSError and what ``start`` raises.
        """
        make_private(self._folder)
        while True:
            if sock := self.connect():
                return sock
            descriptor = self.lock()
            if descriptor is None:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            try:
                await start(descriptor)
            finally:
                os.close(descriptor)


def runtime_folder() -> Path:
    """Where sockets of this user lie: below XDG_RUNTIME_DIR, else in the temporary folder."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if given and os.access(given, os.W_OK):
        return Path(given).absolute() / "sllm"
    name = f"sllm-{os.getuid()}"
    folder = Path(tempfile.gettempdir()) / name
    return folder if len(os.fsencode(folder)) < LONGEST_PATH // 2 else Path("/tmp", name)  # noqa: S108


def make_private(folder: Path) -> None:
    """Make the folder unless it is there; raises NotPrivate where others may use it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not private or found.st_uid != os.getuid():
        raise NotPrivate(f"{folder} belongs to others too: delete it, or forbid it to them.")
