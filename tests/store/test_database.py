"""Transactions: whole or not at all, one after the other where they touch the same, never lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import ExitStack, closing
from itertools import chain

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.storage.database import Database
from app.storage.pool_size import PoolSize
from tests.store.counting import Slow, count, count_on, stored
from tests.store.databases import execute, file_of, process

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_many_at_once_lose_no_update(counted: Database, store_url: str) -> None:
    assert sorted(await count_on(counted, 8)) == list(range(1, 321))
    assert stored(store_url)[0]["updated_at"] == 320


async def test_nor_do_two_pools(counted: Database, store_url: str) -> None:
    with closing(Database(store_url)) as other:
        both = await asyncio.gather(count_on(counted, 4), count_on(other, 4))
    assert sorted(chain.from_iterable(both)) == list(range(1, 321))


def test_nor_do_two_processes(counted: Database, store_url: str) -> None:
    with ExitStack() as stack:
        both = [stack.enter_context(process(_COUNT, store_url)) for _ in range(2)]
        outputs = [one.communicate(timeout=120)[0] for one in both]
    assert sorted(map(int, "".join(outputs).split())) == list(range(1, 321))
    assert stored(store_url)[0]["updated_at"] == 320


_COUNT = """
import asyncio, sys
from app.storage.database import Database
from tests.store.counting import count_on
print(*asyncio.run(count_on(Database(sys.argv[1]), 4)))
"""


async def test_a_write_that_is_cancelled_is_stored_first(counted: Database, store_url: str) -> None:
    slow = Slow()
    task = asyncio.create_task(counted.write(slow.count))
    await asyncio.to_thread(slow.begun.wait)
    for _ in range(3):  # whoever is impatient cancels more than once
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stored(store_url)[0]["updated_at"] == 1


async def test_one_that_fails_after_it_was_cancelled_is_just_cancelled(counted: Database) -> None:
    slow = Slow()
    task = asyncio.create_task(counted.write(slow.fail))
    await asyncio.to_thread(slow.begun.wait)
    task.cancel()
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_exception_undoes_everything_and_arrives_as_it_is(
    counted: Database, store_url: str
) -> None:
    def fail(session: Session) -> None:
        count(session)
        session.flush()
        raise ZeroDivisionError

    def twice(session: Session) -> None:
        count(session)
        session.execute(text("INSERT INTO conversations SELECT * FROM conversations"))

    with pytest.raises(ZeroDivisionError):
        await counted.write(fail)
    with pytest.raises(IntegrityError):
        await counted.write(twice)
    assert stored(store_url)[0]["updated_at"] == 0
    assert await counted.write(count) == 1


async def test_closing_waits_for_what_has_begun(counted: Database, store_url: str) -> None:
    slow = Slow()
    task = asyncio.create_task(counted.write(slow.count))
    await asyncio.to_thread(slow.begun.wait)
    closing_it = asyncio.create_task(asyncio.to_thread(counted.close))
    slow.go_on.set()
    await closing_it
    assert stored(store_url)[0]["updated_at"] == 1
    assert await task == 1


async def test_a_read_sees_one_state_of_things(counted: Database, store_url: str) -> None:
    def look_twice(session: Session) -> tuple[int, int]:
        first = session.scalar(_COUNTED)
        execute(store_url, "UPDATE conversations SET updated_at = 7")
        return first, session.scalar(_COUNTED)

    assert await counted.read(look_twice) == (0, 0)
    assert await counted.read(lambda session: session.scalar(_COUNTED)) == 7


_COUNTED = text("SELECT updated_at FROM conversations")


@SQLITE
async def test_a_write_keeps_others_out_from_its_first_statement(
    counted: Database, store_url: str
) -> None:
    def can_another_write(session: Session) -> bool:
        session.scalar(_COUNTED)  # a read: enough to fix what the write follows from
        with closing(sqlite3.connect(file_of(store_url), timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    assert await counted.write(can_another_write) is False
    assert await counted.read(can_another_write) is True


@SQLITE
def test_every_connection_is_safe_from_power_cuts_and_orphans(counted: Database) -> None:
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }
    with ExitStack() as stack:
        for _ in range(PoolSize().readers + 3):
            connection = stack.enter_context(counted.engine.connect())
            for pragma, value in expected.items():
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


async def test_nobody_waits_for_many_searches(counted: Database) -> None:
    slow = Slow()
    searches = [asyncio.create_task(counted.scan(slow.wait)) for _ in range(20)]
    await asyncio.to_thread(slow.begun.wait)
    assert await counted.write(count) == 1
    assert await counted.read(lambda session: session.scalar(text("SELECT 1"))) == 1
    slow.go_on.set()
    await asyncio.gather(*searches)
