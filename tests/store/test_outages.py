"""A database that fails while the server runs: said in a sentence, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from app.database import READERS, Database
from app.errors import StorageUnavailable
from tests.postgres import Cluster
from tests.store.counting import Slow, count, count_on, stored
from tests.store.databases import file_of, process, without_rights

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def test_one_that_hangs_is_said_without_making_it_worse(
    counted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.HEALTH_SECONDS", 0.1)
    assert await counted.problem() is None
    asked: list[object] = []
    event.listen(counted.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    slow = Slow()
    stuck = [asyncio.create_task(counted.read(slow.wait)) for _ in range(READERS)]
    await asyncio.to_thread(slow.begun.wait)
    told = [await counted.problem() for _ in range(3)]
    assert told == ["The database has not answered within 0.1 seconds."] * 3
    slow.go_on.set()
    await asyncio.gather(*stuck)
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
        told, _ = child.communicate(timeout=60)
    assert told == "The disk of the database failed: see the server's log.\n"
    assert await counted.write(count) == 1


_WRITE_BEYOND_THE_LIMIT = """
import asyncio, resource, sys
from sqlalchemy import text
from app.database import Database
from app.errors import StorageUnavailable
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
    monkeypatch.setattr("app.database.BUSY_SECONDS", 0)
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
