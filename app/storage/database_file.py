"""The file of an SQLite database in the file system: whether it exists and has disk space.

SQLite goes on writing to a deleted file, and that data would be lost when the file is closed.
SQLite also needs disk space to delete rows. A small reserve file beside the database is deleted to
provide it when the disk is full.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, event

RESERVE_BYTES = 4 * 2**20
"""Enough for a checkpoint of the write-ahead log and some deletions."""

MIN_FREE_BYTES = 256 * 2**10
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
        self._connections = 0

    def track_connections(self, engine: Engine) -> None:
        """Count the connections: SQLite deletes its write-ahead log when the last one closes."""
        event.listen(engine, "connect", lambda *_: self._count(1))
        event.listen(engine, "close", lambda *_: self._count(-1))

    def _count(self, step: int) -> None:
        self._connections += step
        if not self._connections:
            self._known_log = None

    def missing_reason(self) -> str | None:
        """A sentence if the file has been deleted or replaced; None if not, or if it never was."""
        if (found := _identity(self._path)) is None:
            return GONE if self._known else None
        if self._known and found != self._known:
            return REPLACED
        if self._known_log and _identity(self._log) != self._known_log:
            return GONE  # the newest data is only in the log
        return None

    def record_identity(self) -> None:
        """Record which files are open; call it while a connection has them open."""
        self._known = self._known or _identity(self._path)
        self._known_log = self._known_log or _identity(self._log)

    def problem(self) -> str | None:
        """A sentence that says why nothing can be stored; None if no problem is found."""
        if absence := self.missing_reason():
            return absence
        return FULL if self.is_full() else None

    def is_full(self) -> bool:
        """Whether the disk has no space left."""
        return self.free_bytes() < MIN_FREE_BYTES

    def free_bytes(self) -> int:
        """Space on the disk that this process may use."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return disk.f_frsize * (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail)

    # ---------------------------------------------------------------- the reserve

    @property
    def has_reserve(self) -> bool:
        """Whether the reserve file exists."""
        return self._reserve.exists()

    def create_reserve(self) -> None:
        """Create the reserve file if the disk then still has as much space free."""
        if self.has_reserve or self.free_bytes() < 2 * RESERVE_BYTES:
            return
        with suppress(OSError):
            descriptor = os.open(self._reserve, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            try:
                _fill(descriptor)
            except OSError:
                self.release_reserve()
            finally:
                os.close(descriptor)

    def release_reserve(self) -> None:
        """Delete the reserve file, so that SQLite can use its space."""
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
