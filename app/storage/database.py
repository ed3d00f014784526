"""The database: short transactions in pool threads, never on the event loop.

SQLite keeps to WAL, foreign keys, ``BEGIN IMMEDIATE`` and a full sync per commit, so that what was
answered survives a power cut; its writes go through one thread, for the file takes one writer at
a time. PostgreSQL takes as many as the pool has connections.
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
from app.storage.database_file import FULL, FULL_BELOW, RESERVE_BYTES, DatabaseFile
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
SCANNERS = 2
WRITERS = 8
"""Threads for transactions; SQLite has one writer whatever this says."""

BUSY_SECONDS = 10
"""How long one process waits for another to finish writing to the same SQLite file."""

HEALTH_SECONDS = 2
"""After how long without an answer the database counts as ill."""


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


def parsed(url: str) -> URL:
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


def shown(url: URL) -> str:
    """Name a database to its user, without the password and without options that may hold one."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def open_engine(url: URL) -> Engine:
    """Make an engine whose transactions begin as the module says. Connects to nothing yet."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url, pool_size=READERS + SCANNERS + 1, connect_args={"timeout": BUSY_SECONDS}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url,
        pool_size=READERS + SCANNERS + WRITERS,
        max_overflow=0,
        pool_pre_ping=True,  # a server that was restarted costs no request
        connect_args={"connect_timeout": BUSY_SECONDS},
    )


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver shall not begin transactions of its own
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
    """Runs functions that take a session, each in one transaction."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(parsed(url))
        sqlite = self.engine.dialect.name == "sqlite"
        writers = 1 if sqlite else WRITERS
        # All statements of a read see the same state; in SQLite they do anyway.
        self._reading = {} if sqlite else {"isolation_level": "REPEATABLE READ"}
        self._readers = ThreadPoolExecutor(READERS, "reads")
        self._scanners = ThreadPoolExecutor(SCANNERS, "scans")
        self._writers = ThreadPoolExecutor(writers, "writes")
        self._asking: asyncio.Task[str | None] | None = None
        self._file = DatabaseFile(Path(str(self.engine.url.database))) if sqlite else None
        if self._file is not None:
            self._file.watch(self.engine)
        self._failure: str | None = None
        self._guarded = False

    async def read(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work(session, …)`` in a transaction; raises StorageUnavailable."""
        return await self._run(self._readers, False, lambda session: work(session, *args, **kwargs))

    async def scan(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for work that may read a lot: the readers that turns need do not wait for it."""
        return await self._run(self._scanners, False, lambda found: work(found, *args, **kwargs))

    async def write(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work(session, …)`` in a transaction that may write; raises StorageUnavailable."""
        return await self._run(self._writers, True, lambda session: work(session, *args, **kwargs))

    async def delete(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for work that makes room: it gets the last room on a full disk."""
        run = partial(self._transact_freeing, lambda session: work(session, *args, **kwargs))
        return await _seen_through(asyncio.get_running_loop().run_in_executor(self._writers, run))

    async def _run(
        self, threads: ThreadPoolExecutor, writes: bool, work: Callable[[Session], T]
    ) -> T:
        loop = asyncio.get_running_loop()
        return await _seen_through(loop.run_in_executor(threads, self.transact, work, writes))

    def transact(self, work: Callable[[Session], T], writes: bool) -> T:
        """Run ``work(session)`` in this thread; raises StorageUnavailable."""
        if not writes:
            return self._transact(work, writes=False)
        try:
            self._require_room()
            done = self._transact(work, writes=True)
        except StorageUnavailable as error:
            if str(error) in failures.LASTING:
                self._failure = str(error)
            raise
        self._failure = None
        return done

    def _transact_freeing(self, work: Callable[[Session], T]) -> T:
        try:
            return self._transact(work, writes=True)
        except StorageUnavailable as error:
            if self._file is None or str(error) != FULL:
                raise
            self._file.give_reserve()
        self._checkpoint()  # the log can begin anew then
        done = self._transact(work, writes=True)
        self._checkpoint()
        return done

    def _checkpoint(self) -> None:
        with suppress(DBAPIError), closing(self.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(RESTART)")

    def _require_room(self) -> None:
        """Without the reserve, only what was deleted is written over; raises StorageUnavailable."""
        if not self._guarded or self._file is None or self._file.has_reserve:
            return
        if self._file.free_bytes() >= RESERVE_BYTES:
            return
        count = self._transact(probes.free_in_file, writes=False)
        if count < FULL_BELOW:
            raise StorageUnavailable(FULL)

    def _transact(self, work: Callable[[Session], T], *, writes: bool) -> T:
        self._require_file()
        options = {"writes": True} if writes else self._reading
        try:
            with (
                self.engine.connect().execution_options(**options) as connection,
                Session(connection, expire_on_commit=False) as session,
                session.begin(),
            ):
                done = work(session)
                if self._file is not None:
                    self._file.remember()
        except IntegrityError:
            raise  # whoever wrote knows what it means
        except DBAPIError as error:
            log.error("the database failed: %s", failures.first_line(error))
            full = self._file is not None and self._file.is_full()
            raise StorageUnavailable(
                FULL if full and writes else failures.sentence(error)
            ) from error
        self._require_file()  # what went into a deleted file is not stored
        return done

    def _require_file(self) -> None:
        if self._file is not None and (absence := self._file.absence()):
            raise StorageUnavailable(absence)

    async def keep_up(self) -> None:
        """Set room aside where there is some; find out whether what failed works again."""
        if self._file is not None:
            self._guarded = True
            await asyncio.to_thread(self._file.take_reserve)
        if self._failure is not None:
            with suppress(StorageUnavailable):
                await self.write(lambda session: session.execute(probes.TOUCH))

    def files(self) -> frozenset[Path]:
        """Those of SQLite. Nobody else in this process may open them.

        The system frees all locks of a process on a file when the process closes it anywhere.
        Another program would then take the file for unused and delete what is not in it yet.
        """
        if self.engine.dialect.name != "sqlite":
            return frozenset()
        file = Path(str(self.engine.url.database)).resolve()
        return frozenset(
            file.with_name(file.name + end) for end in ("", "-wal", "-shm", "-journal")
        )

    async def problem(self) -> str | None:
        """Say in a sentence why the database does not answer, or not in time; None if it does."""
        # Shared, so that whoever asks again and again does not fill the line of a stuck database.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait([self._asking], timeout=HEALTH_SECONDS)
        if self._asking in done:
            return self._asking.result()
        return f"The database has not answered within {HEALTH_SECONDS} seconds."

    async def _ask(self) -> str | None:
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


async def _seen_through(future: asyncio.Future[T]) -> T:
    """Wait for a transaction to its end even when cancelled, for a thread cannot be stopped."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        future.exception()  # retrieved: nobody is left to hear of it
        raise cancelled
    return future.result()
