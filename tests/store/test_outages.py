"""A database that fails while the server runs: said in a sentence, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.orm import Session

from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.failures import READ_ONLY
from app.storage.pool_size import PoolSize
from tests.postgres import Cluster
from tests.store.counting import Slow, count, count_on, stored
from tests.store.databases import execute, file_of, process, without_rights

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def test_one_that_hangs_is_said_without_making_it_worse(
    counted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await counted.problem() is None
    monkeypatch.setattr("app.storage.database.HEALTH_SECONDS", 0.1)
    asked: list[object] = []
    event.listen(
        counted.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2])
    )
    slow = Slow()
    stuck = [asyncio.create_task(counted.read(slow.wait)) for _ in range(PoolSize().readers)]
    await asyncio.to_thread(slow.begun.wait)
    problems = [await counted.problem() for _ in range(3)]
    assert problems == ["The database has not answered within 0.1 seconds."] * 3
    slow.go_on.set()
    await asyncio.gather(*stuck)
    monkeypatch.undo()
    assert await counted.problem() is None
    assert asked.count("SELECT 1") <= 2  # not once for each that asked while it hung


@SQLITE
async def test_a_full_disk_is_said_and_loses_nothing(counted: Database, store_url: str) -> None:
    def fill(session: Session) -> None:
        session.execute(text("UPDATE conversations SET title = hex(zeroblob(1000000))"))

    with closing(Database(store_url)) as full:
        event.listen(full.engine, "connect", lambda it, _: it.execute("PRAGMA max_page_count=60"))
        with pytest.raises(StorageUnavailable, match="full: nothing can be stored until"):
            await full.write(fill)
        assert await full.write(count) == 1
    assert await counted.write(count) == 2


@SQLITE
async def test_a_disk_that_fails_is_said(counted: Database, store_url: str) -> None:
    with process(_WRITE_BEYOND_THE_LIMIT, store_url) as child:
        output, _ = child.communicate(timeout=60)
    assert output == "The disk of the database failed: see the server's log.\n"
    assert await counted.write(count) == 1


_WRITE_BEYOND_THE_LIMIT = """
import asyncio, resource, sys
from sqlalchemy import text
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.failures import READ_ONLY
statement = text("UPDATE conversations SET title = hex(zeroblob(1000000))")
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
try:
    asyncio.run(Database(sys.argv[1]).write(lambda session: session.execute(statement)))
except StorageUnavailable as error:
    print(error)
"""


@SQLITE
async def test_a_file_without_the_right_to_write_can_still_be_read(store_url: str) -> None:
    file_of(store_url).parent.chmod(0o777)
    with without_rights(file_of(store_url)), closing(Database(store_url)) as database:
        assert await database.read(lambda session: session.scalar(text("SELECT 1"))) == 1
        with pytest.raises(StorageUnavailable, match="The database is read-only"):
            await database.write(lambda session: session.execute(text("DELETE FROM messages")))


@SQLITE
async def test_a_file_that_another_program_keeps_locked(
    counted: Database, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.database.BUSY_SECONDS", 0)
    with (
        closing(Database(store_url)) as impatient,
        closing(_locked(store_url)),
        pytest.raises(StorageUnavailable, match="keeps the database locked: try again"),
    ):
        await impatient.write(count)
    assert await counted.write(count) == 1


def _locked(url: str) -> sqlite3.Connection:
    other = sqlite3.connect(file_of(url))
    other.execute("BEGIN IMMEDIATE")
    return other


@POSTGRESQL
async def test_a_database_that_stops_is_said_and_back_without_an_error_when_it_is(
    counted: Database, postgres: Cluster
) -> None:
    assert await count_on(counted, 2)
    postgres.stop()
    postgres.start()
    assert await count_on(counted, 2)
    postgres.stop()
    try:
        with pytest.raises(StorageUnavailable, match="The database cannot be reached"):
            await counted.read(count)
        with pytest.raises(StorageUnavailable, match="The database cannot be reached"):
            await counted.write(count)
    finally:
        postgres.start()
    assert sorted(await count_on(counted, 4)) == list(range(161, 321))


@POSTGRESQL
async def test_what_was_under_way_when_it_stopped_is_undone(
    counted: Database, postgres: Cluster, store_url: str
) -> None:
    slow = Slow()
    task = asyncio.create_task(counted.write(slow.count))
    await asyncio.to_thread(slow.begun.wait)
    postgres.stop()
    postgres.start()
    slow.go_on.set()
    with pytest.raises(StorageUnavailable):
        await task
    assert stored(store_url)[0]["updated_at"] == 0


@POSTGRESQL
async def test_one_that_takes_no_writes_is_said_before_and_after_somebody_writes(
    counted: Database, store_url: str
) -> None:
    name = make_url(store_url).database
    execute(store_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    counted.engine.dispose()  # connections made before go on as they were
    assert await counted.problem() == READ_ONLY
    with pytest.raises(StorageUnavailable, match="read-only"):
        await counted.write(count)
    await counted.maintain()
    assert await counted.problem() == READ_ONLY
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    counted.engine.dispose()
    await counted.maintain()
    assert await counted.problem() is None
    assert await counted.write(count) == 1


@POSTGRESQL
async def test_one_that_was_dropped_is_said(counted: Database, postgres: Cluster) -> None:
    name = make_url(str(counted.engine.url)).database
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        try:
            assert await counted.problem() == "The database cannot be reached: try again."
            with pytest.raises(StorageUnavailable, match="cannot be reached"):
                await counted.write(count)
        finally:
            connection.execute(f"CREATE DATABASE {name}".encode())


async def test_work_that_is_refused_is_no_fault_of_the_database(counted: Database) -> None:
    with pytest.raises(StorageUnavailable):
        await counted.write(lambda session: session.execute(text("DELETE FROM nowhere")))
    assert await counted.problem() is None


@SQLITE
async def test_what_failed_is_said_until_it_works_again(counted: Database) -> None:
    await counted.write(lambda session: session.execute(text("PRAGMA query_only = ON")))
    with pytest.raises(StorageUnavailable, match="read-only"):
        await counted.write(count)
    assert await counted.problem() == READ_ONLY
    await counted.maintain()
    assert await counted.problem() == READ_ONLY
    counted.engine.dispose()
    await counted.maintain()
    assert await counted.problem() is None
