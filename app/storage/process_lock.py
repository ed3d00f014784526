"""Tells a server process whether it is the only one that uses a database.

Each process holds a shared lock while it runs, in PostgreSQL or on a file beside an SQLite file. A
process that gets the exclusive lock knows that no other one is running: the system frees the locks
of a dead process. SQLite's own locks do not fit: they last only as long as a transaction.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

ADVISORY_LOCK_KEY = 0x534C4C50
"""Number of the advisory lock in PostgreSQL."""


class ProcessLock:
    """The lock of one process; ``close`` releases it. Threads may call what they like."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._file: IO[bytes] | None = None
        self._connection: Connection | None = None
        self._one_at_a_time = threading.Lock()
        self._closed = False

    def acquire(self, alone: Callable[[], None]) -> None:
        """Take the shared lock; if no process holds it, first call ``alone`` exclusively."""
        if self._engine.dialect.name == "sqlite":
            self._acquire_file(alone)
        else:
            self._acquire_in_database(alone)

    def _acquire_file(self, alone: Callable[[], None]) -> None:
        self._file = Path(f"{self._engine.url.database}-lock").open("ab")  # noqa: SIM115 — stays open
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            alone()
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def _acquire_in_database(self, alone: Callable[[], None]) -> None:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # closed in the pool, it would stay open and keep the lock
        self._connection = connection
        key = {"key": ADVISORY_LOCK_KEY}
        if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
            alone()
            connection.execute(text("SELECT pg_advisory_lock_shared(:key)"), key)
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        else:
            connection.execute(text("SELECT pg_advisory_lock_shared(:key)"), key)

    def reacquire(self) -> None:
        """Take the lock again if PostgreSQL was restarted; while it is down, do nothing."""
        with self._one_at_a_time:
            if self._connection is not None and not self._closed:
                self._reconnect(self._connection)

    def _reconnect(self, connection: Connection) -> None:
        if not connection.closed:
            try:
                connection.execute(text("SELECT 1"))
            except DBAPIError:
                connection.close()
        if connection.closed:
            with suppress(DBAPIError):
                self._acquire_in_database(lambda: None)

    def close(self) -> None:
        """Release the lock for good; a thread that is just taking it again is waited for."""
        with self._one_at_a_time:
            self._closed = True
            if self._file:
                self._file.close()
            if self._connection:
                self._connection.close()
