"""The file of an SQLite database, as the file system sees it: whether it is there and has room.

SQLite goes on writing to a file that was deleted, and everything would be lost at the end. And it
needs room to delete something, so a small file is kept beside it that is given up for that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, event

RESERVE_BYTES = 4 * 2**20
"""Enough for a checkpoint of the write-ahead log and some deletions."""

FULL_BELOW = 256 * 2**10
"""Bytes; a disk with less room counts as full."""

FULL = (
    "The disk of the database is full: nothing can be stored until there is room. What is stored "
    "can be read, and deleting conversations makes room."
)
GONE = (
    "The file of the database has been deleted or moved while the server was using it: put it "
    "back, or restart the server to begin with a new one. Nothing is stored meanwhile."
)
REPLACED = (
    "The file of the database has been replaced while the server was using it: restart the server "
    "to go on with the new one. Nothing is stored meanwhile."
)


class DatabaseFile:
    """One SQLite file; ``path`` is that of the main file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserve = path.with_name(f"{path.name}-reserve")
        self._log = path.with_name(f"{path.name}-wal")
        self._known: tuple[int, int] | None = None
        self._known_log: tuple[int, int] | None = None
        self._open = 0

    def watch(self, engine: Engine) -> None:
        """Count the connections: with the last one SQLite takes its write-ahead log away."""
        event.listen(engine, "connect", lambda *_: self._count(1))
        event.listen(engine, "close", lambda *_: self._count(-1))

    def _count(self, step: int) -> None:
        self._open += step
        if not self._open:
            self._known_log = None

    def absence(self) -> str | None:
        """Say in a sentence that it is not there any more; None if it is, or never was."""
        if (found := _identity(self._path)) is None:
            return GONE if self._known else None
        if self._known and found != self._known:
            return REPLACED
        if self._known_log and _identity(self._log) != self._known_log:
            return GONE  # what was stored last is in it alone
        return None

    def remember(self) -> None:
        """Note which files are open; to be called while a connection has them open."""
        self._known = self._known or _identity(self._path)
        self._known_log = self._known_log or _identity(self._log)

    def problem(self) -> str | None:
        """Say in a sentence why nothing can be stored; None if nothing of the kind is seen."""
        if absence := self.absence():
            return absence
        return FULL if self.is_full() else None

    def is_full(self) -> bool:
        """Whether the disk has no room left."""
        return self.free_bytes() < FULL_BELOW

    def free_bytes(self) -> int:
        """Room on the disk for this process."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return disk.f_frsize * (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail)

    # ---------------------------------------------------------------- the reserve

    @property
    def has_reserve(self) -> bool:
        """Whether there is room that can be given up."""
        return self._reserve.exists()

    def take_reserve(self) -> None:
        """Set room aside, if that leaves as much again."""
        if self.has_reserve or self.free_bytes() < 2 * RESERVE_BYTES:
            return
        with suppress(OSError):
            descriptor = os.open(self._reserve, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            try:
                _fill(descriptor)
            except OSError:
                self.give_reserve()
            finally:
                os.close(descriptor)

    def give_reserve(self) -> None:
        """Let SQLite have the room that was set aside."""
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)


def _fill(descriptor: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    else:
        os.write(descriptor, bytes(RESERVE_BYTES))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
