"""Tells a server process whether it is the only one that uses a database.

Each holds a shared lock as long as it lives, in PostgreSQL or on a file beside an SQLite file. Who
can take the lock for itself alone knows that nobody else is there, however the others ended: the
system frees the locks of a dead process. SQLite's own locks cannot serve, they come and go with
transactions.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

LOCK = 0x534C4C50
"""Number of the advisory lock in PostgreSQL."""


class ProcessLock:
    """The lock of one process; ``close`` gives it up."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._file: IO[bytes] | None = None
        self._connection: Connection | None = None

    def enter(self, alone: Callable[[], None]) -> None:
        """Take the shared lock; if nobody has it, call ``alone`` first, in the exclusive one."""
        if self._engine.dialect.name == "sqlite":
            self._enter_file(alone)
        else:
            self._enter_database(alone)

    def _enter_file(self, alone: Callable[[], None]) -> None:
        self._file = Path(f"{self._engine.url.database}-lock").open("ab")  # noqa: SIM115 — stays open
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            alone()
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def _enter_database(self, alone: Callable[[], None]) -> None:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # from the pool, where it would live on with its lock when closed
        self._connection = connection
        key = {"key": LOCK}
        if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
            alone()
            connection.execute(text("SELECT pg_advisory_lock_shared(:key)"), key)
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        else:
            connection.execute(text("SELECT pg_advisory_lock_shared(:key)"), key)

    def keep(self) -> None:
        """Take the lock again where PostgreSQL was restarted, later where it is not back yet."""
        if self._connection is None:
            return
        if not self._connection.closed:
            try:
                self._connection.execute(text("SELECT 1"))
            except DBAPIError:
                self._connection.close()
        if self._connection.closed:
            with suppress(DBAPIError):
                self._enter_database(lambda: None)

    def close(self) -> None:
        """Give up the lock."""
        if self._file:
            self._file.close()
        if self._connection:
            self._connection.close()
