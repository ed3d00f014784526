"""Idempotency keys in the database: taken by one, kept alive, recorded, given up, expired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.idempotency import keys as keys_module
from app.idempotency import store
from app.idempotency.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from app.idempotency.keys import IdempotencyKeys
from app.idempotency.outcome import Claim, Outcome
from app.storage.database import Database
from app.storage.ids import now
from tests.store import audit
from tests.store.databases import execute

pytestmark = pytest.mark.sql_is_alike

OWNER, KEY, TARGET = "key-1", "k", "7a"
OUTCOME = Outcome("0b", {"status": 200, "headers": [["a", "b"]]}, b"content " * 100)
MIB = 2**20


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    opened = Database(store_url)
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database) -> IdempotencyKeys:
    """The keys of a server whose leases are not renewed."""
    return IdempotencyKeys(database, 100 * MIB)


@pytest.fixture
async def other(store_url: str) -> AsyncIterator[IdempotencyKeys]:
    """Those of another server on the same database."""
    opened = Database(store_url)
    yield IdempotencyKeys(opened, 100 * MIB)
    opened.close()


async def taken(keys: IdempotencyKeys, key: str = KEY, owner: str = OWNER) -> Claim:
    claim = await keys.claim(owner, key, TARGET)
    assert isinstance(claim, Claim)
    return claim


def rows(url: str) -> list[dict[str, Any]]:
    return audit.table(url, "idempotency_keys")


def expire(url: str, column: str) -> None:
    """Let the leases, or the outcomes, be of long ago."""
    execute(url, f"UPDATE idempotency_keys SET {column} = 1 WHERE {column} IS NOT NULL")  # noqa: S608


async def test_the_first_one_answers_and_the_others_get_its_outcome(
    keys: IdempotencyKeys, other: IdempotencyKeys
) -> None:
    claim = await taken(keys)
    assert await keys.record(claim, OUTCOME)
    assert await keys.claim(OWNER, KEY, TARGET) == OUTCOME
    assert await other.claim(OWNER, KEY, TARGET) == OUTCOME


async def test_of_many_at_once_one_runs(keys: IdempotencyKeys, other: IdempotencyKeys) -> None:
    attempts = [each.claim(OWNER, KEY, TARGET) for each in (keys, other) for _ in range(20)]
    found = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(each, Claim) for each in found) == 1
    assert sum(isinstance(each, IdempotencyKeyInUse) for each in found) == 39


async def test_another_request_is_refused_also_while_the_first_one_runs(
    keys: IdempotencyKeys,
) -> None:
    claim = await taken(keys)
    for _ in range(2):
        with pytest.raises(IdempotencyKeyReused):
            await keys.claim(OWNER, KEY, "7b")
        await keys.record(claim, OUTCOME)


async def test_owners_share_no_keys(keys: IdempotencyKeys) -> None:
    await taken(keys)
    await taken(keys, owner="key-2")


async def test_what_was_given_up_runs_again(keys: IdempotencyKeys, store_url: str) -> None:
    await keys.release(await taken(keys))
    assert rows(store_url) == []
    await taken(keys)


async def test_an_outcome_is_not_given_up(keys: IdempotencyKeys) -> None:
    """A client may hang up while its outcome is being stored."""
    claim = await taken(keys)
    await keys.record(claim, OUTCOME)
    await keys.release(claim)
    assert await keys.claim(OWNER, KEY, TARGET) == OUTCOME


async def test_a_cancelled_caller_leaves_no_claim(keys: IdempotencyKeys, store_url: str) -> None:
    asking = asyncio.create_task(keys.claim(OWNER, KEY, TARGET))
    await asyncio.sleep(0)  # the transaction has been submitted
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert rows(store_url) == []


# ---------------------------------------------------------------- servers that died


async def test_an_expired_lease_is_taken_over(
    keys: IdempotencyKeys, other: IdempotencyKeys, store_url: str
) -> None:
    stalled = await taken(keys)
    expire(store_url, "lease_until")
    claim = await taken(other)
    assert not await keys.record(stalled, OUTCOME)  # it comes back, too late
    await keys.release(stalled)
    newer = replace(OUTCOME, body="0c")
    assert await other.record(claim, newer)
    assert await keys.claim(OWNER, KEY, TARGET) == newer


async def test_leases_are_renewed_as_long_as_the_request_runs(
    keys: IdempotencyKeys, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "RENEW_SECONDS", 0.01)
    claim = await taken(keys)
    expire(store_url, "lease_until")
    keys.start()
    async with asyncio.timeout(60):
        while rows(store_url)[0]["lease_until"] == 1:
            await asyncio.sleep(0.01)
    await keys.release(claim)
    await keys.close()


async def test_leases_are_renewed_while_much_is_deleted(
    keys: IdempotencyKeys, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting stops behind its first row, for longer than this test."""
    monkeypatch.setattr(keys_module, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(keys_module, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(keys_module, "YIELD_SECONDS", 3600.0)
    monkeypatch.setattr(store, "MAX_ROWS", 1)
    for key in ("first", "second"):
        await keys.record(await taken(keys, key), OUTCOME)
    expire(store_url, "expires_at")
    keys.start()
    async with asyncio.timeout(60):
        while len(rows(store_url)) > 1:
            await asyncio.sleep(0.01)
        claim = await taken(keys)
        expire(store_url, "lease_until")
        while 1 in {row["lease_until"] for row in rows(store_url)}:
            await asyncio.sleep(0.01)
    await keys.release(claim)
    await keys.close()


async def test_a_start_that_is_alone_gives_up_what_ran(
    keys: IdempotencyKeys, database: Database
) -> None:
    await keys.record(await taken(keys, "done"), OUTCOME)
    await taken(keys, "running")
    await database.write(store.release_all)
    assert await keys.claim(OWNER, "done", TARGET) == OUTCOME
    await taken(keys, "running")


# ---------------------------------------------------------------- what is deleted


async def test_after_a_day_the_request_runs_again(keys: IdempotencyKeys, store_url: str) -> None:
    await keys.record(await taken(keys), OUTCOME)
    [row] = rows(store_url)
    day = store.KEPT_MILLISECONDS
    assert 0 <= now() + day - row["expires_at"] < day / 2
    expire(store_url, "expires_at")
    await taken(keys)


async def test_what_has_expired_is_deleted(
    keys: IdempotencyKeys, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_ROWS", 2)
    for number in range(5):
        await keys.record(await taken(keys, str(number)), OUTCOME)
    expire(store_url, "expires_at")
    await taken(keys, "new")
    await keys.sweep()
    assert [row["key"] for row in rows(store_url)] == ["new"]


async def test_the_oldest_make_room(database: Database, store_url: str) -> None:
    """Running ones stay; what they may become does not count yet."""
    held = len(keys_module._compressed(OUTCOME.content)) + store.ROW_BYTES
    keys = IdempotencyKeys(database, 3 * held)
    running = await taken(keys, "running")
    for number in range(5):
        await keys.record(await taken(keys, str(number)), OUTCOME)
        execute(store_url, "UPDATE idempotency_keys SET expires_at = expires_at - 1000")
    await keys.sweep()
    assert sorted(row["key"] for row in rows(store_url)) == ["3", "4", "running"]
    await keys.release(running)


async def test_one_transaction_deletes_a_bounded_number_of_bytes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = IdempotencyKeys(database, 0)
    for number in range(3):
        await keys.record(await taken(keys, str(number)), OUTCOME)
    assert len(await database.read(store.due, 0)) == 3
    size = len(keys_module._compressed(OUTCOME.content)) + store.ROW_BYTES
    monkeypatch.setattr(store, "MAX_BYTES", size + 1)
    assert len(await database.read(store.due, 0)) == 2
    await keys.sweep()
    assert await database.read(store.due, 0) == []


async def test_a_row_that_was_taken_over_meanwhile_is_not_deleted(
    keys: IdempotencyKeys, database: Database, store_url: str
) -> None:
    await keys.record(await taken(keys), OUTCOME)
    expire(store_url, "expires_at")
    found = await database.read(store.due, 0)
    await taken(keys)
    await database.delete(store.remove, found)
    assert len(rows(store_url)) == 1
