"""The database: short transactions in pool threads, never on the event loop.

SQLite uses WAL, foreign keys, ``BEGIN IMMEDIATE`` and a full sync per commit, so committed data
survives a power cut. One thread does its writes, because an SQLite file takes one writer at a
time. PostgreSQL takes as many writers as the pool has connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Session

from app.storage import failures, probes
from app.storage.database_file import FULL, MIN_FREE_BYTES, RESERVE_BYTES, DatabaseFile
from app.storage.errors import StorageUnavailable
from app.storage.pool_size import PoolSize

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

BUSY_SECONDS = 10
"""How long one process waits for another to finish writing to the same SQLite file."""

HEALTH_SECONDS = 2
"""A database that has not answered after this time counts as unhealthy."""


class DatabaseRefused(Exception):
    """The database cannot be used as it is; ``str()`` is one sentence that says what to do."""


class Table(DeclarativeBase):
    """Base of all tables. The names of constraints follow one rule, so migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def parse_url(url: str) -> URL:
    """Read DATABASE_URL: an SQLite file or a PostgreSQL database; raises DatabaseRefused."""
    try:
        read = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        read = URL.create("nonsense")
    kind = read.get_backend_name()
    if kind == "sqlite" and read.database not in {None, "", ":memory:"}:
        if not read.host and not read.query:
            return read.set(drivername="sqlite")
    elif kind in {"postgresql", "postgres"} and "@" not in (read.host or ""):
        return read.set(drivername="postgresql+psycopg")
    raise DatabaseRefused(
        "DATABASE_URL must name an SQLite file, like sqlite:///sllm.db, or a PostgreSQL database, "
        "like postgresql://user:password@host/name, with %40 for an @ in the password."
    )


def display_url(url: URL) -> str:
    """Name a database to its user, without the password and without options that may hold one."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def open_engine(url: URL, size: PoolSize = PoolSize()) -> Engine:  # noqa: B008 — immutable
    """Make an engine with the settings that the module names. It connects to nothing yet."""
    if url.get_backend_name() == "sqlite":
        threads = size.readers + size.scanners + 1
        engine = create_engine(url, pool_size=threads, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url,
        pool_size=sum(size),
        max_overflow=0,
        pool_pre_ping=True,  # a server that was restarted costs no request
        connect_args={"connect_timeout": BUSY_SECONDS},
    )


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # keeps the driver from beginning transactions itself
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "fullfsync=ON",  # macOS: without it a sync stops at the drive's own cache
        "wal_autocheckpoint=250",  # pages: many short waits at a commit instead of some long ones
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and then writes fails when another writes in between.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """Runs functions that take a session, each in one transaction.

    ``processes`` of this machine use the database: they divide its connections among them.
    """

    def __init__(self, url: str, processes: int = 1) -> None:
        size = PoolSize().share(processes)
        self.engine = open_engine(parse_url(url), size)
        sqlite = self.engine.dialect.name == "sqlite"
        writers = 1 if sqlite else size.writers
        # All statements of a read see the same state; in SQLite they do anyway.
        self._read_options = {} if sqlite else {"isolation_level": "REPEATABLE READ"}
        self._readers = ThreadPoolExecutor(size.readers, "reads")
        self._scanners = ThreadPoolExecutor(size.scanners, "scans")
        self._writers = ThreadPoolExecutor(writers, "writes")
        self._probe_task: asyncio.Task[str | None] | None = None
        self._file = DatabaseFile(Path(str(self.engine.url.database))) if sqlite else None
        if self._file is not None:
            self._file.track_connections(self.engine)
        self._failure: str | None = None
        self._uses_reserve = False

    async def read(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work(session, …)`` in a transaction; raises StorageUnavailable."""
        return await self._run(self._readers, False, lambda session: work(session, *args, **kwargs))

    async def scan(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like ``read``, in threads of its own: long reads do not delay the reads of turns."""
        return await self._run(self._scanners, False, lambda found: work(found, *args, **kwargs))

    async def write(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work(session, …)`` in a transaction that may write; raises StorageUnavailable."""
        return await self._run(self._writers, True, lambda session: work(session, *args, **kwargs))

    async def delete(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like ``write``, for work that frees space: on a full disk it may use the reserve."""
        run = partial(self._transact_on_full_disk, lambda session: work(session, *args, **kwargs))
        return await _wait_to_end(asyncio.get_running_loop().run_in_executor(self._writers, run))

    async def _run(
        self, threads: ThreadPoolExecutor, writes: bool, work: Callable[[Session], T]
    ) -> T:
        loop = asyncio.get_running_loop()
        return await _wait_to_end(loop.run_in_executor(threads, self.transact, work, writes))

    def transact(self, work: Callable[[Session], T], writes: bool) -> T:
        """Run ``work(session)`` in this thread; raises StorageUnavailable."""
        if not writes:
            return self._transact(work, writes=False)
        try:
            self._require_room()
            done = self._transact(work, writes=True)
        except StorageUnavailable as error:
            if str(error) in failures.LASTING_FAILURES:
                self._failure = str(error)
            raise
        self._failure = None
        return done

    def _transact_on_full_disk(self, work: Callable[[Session], T]) -> T:
        try:
            return self._transact(work, writes=True)
        except StorageUnavailable as error:
            if self._file is None or str(error) != FULL:
                raise
            self._file.release_reserve()
        self._checkpoint()  # so that SQLite overwrites the log from its beginning
        done = self._transact(work, writes=True)
        self._checkpoint()
        return done

    def _checkpoint(self) -> None:
        with suppress(DBAPIError), closing(self.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(RESTART)")

    def _require_room(self) -> None:
        """Raise StorageUnavailable if there is no reserve and neither disk nor file has space."""
        if not self._uses_reserve or self._file is None or self._file.has_reserve:
            return
        if self._file.free_bytes() >= RESERVE_BYTES:
            return
        count = self._transact(probes.free_page_bytes, writes=False)
        if count < MIN_FREE_BYTES:
            raise StorageUnavailable(FULL)

    def _transact(self, work: Callable[[Session], T], *, writes: bool) -> T:
        self._require_file()
        options = {"writes": True} if writes else self._read_options
        try:
            with (
                self.engine.connect().execution_options(**options) as connection,
                Session(connection, expire_on_commit=False) as session,
                session.begin(),
            ):
                done = work(session)
                if self._file is not None:
                    self._file.record_identity()
        except IntegrityError:
            raise  # the caller knows what the conflict means
        except DBAPIError as error:
            log.error("the database failed: %s", failures.first_line(error))
            full = self._file is not None and self._file.is_full()
            raise StorageUnavailable(
                FULL if full and writes else failures.client_message(error)
            ) from error
        self._require_file()  # the file may have been deleted during the transaction
        return done

    def _require_file(self) -> None:
        if self._file is not None and (absence := self._file.missing_reason()):
            raise StorageUnavailable(absence)

    async def maintain(self) -> None:
        """Create the reserve if there is space; test whether a lasting failure is over."""
        if self._file is not None:
            self._uses_reserve = True
            await asyncio.to_thread(self._file.create_reserve)
        if self._failure is not None:
            with suppress(StorageUnavailable):
                await self.write(lambda session: session.execute(probes.WRITE_PROBE))

    def files(self) -> frozenset[Path]:
        """The files of an SQLite database. No other code of this process may open them.

        When a process closes a file, the system frees all its locks on that file. Another program
        would then take the database for unused and delete the write-ahead log.
        """
        if self.engine.dialect.name != "sqlite":
            return frozenset()
        file = Path(str(self.engine.url.database)).resolve()
        return frozenset(
            file.with_name(file.name + end) for end in ("", "-wal", "-shm", "-journal")
        )

    async def problem(self) -> str | None:
        """Say in a sentence why the database does not answer, or not in time; None if it does."""
        # Callers share one probe, so that repeated calls do not fill the queue of a stuck database.
        if self._probe_task is None or self._probe_task.done():
            self._probe_task = asyncio.create_task(self._probe())
        done, _ = await asyncio.wait([self._probe_task], timeout=HEALTH_SECONDS)
        if self._probe_task in done:
            return self._probe_task.result()
        return f"The database has not answered within {HEALTH_SECONDS} seconds."

    async def _probe(self) -> str | None:
        try:
            read_only = await self.read(probes.is_read_only)
        except StorageUnavailable as error:
            return str(error)
        if self._file is not None and (problem := await asyncio.to_thread(self._file.problem)):
            return problem
        return self._failure or (failures.READ_ONLY if read_only else None)

    def close(self) -> None:
        """Finish what has begun and close all connections."""
        self._writers.shutdown()
        self._readers.shutdown()
        self._scanners.shutdown()
        self.engine.dispose()


async def _wait_to_end(future: asyncio.Future[T]) -> T:
    """Wait until a transaction ends, even when cancelled: its thread cannot be stopped."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        future.exception()  # marks it as retrieved, so that asyncio does not log it
        raise cancelled
    return future.result()
