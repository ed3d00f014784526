"""The idempotency keys of one server process: claimed, kept alive, recorded, expired."""

from __future__ import annotations

import asyncio
import logging
import uuid
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from app.idempotency import store
from app.idempotency.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from app.idempotency.outcome import Claim, Outcome
from app.provider.runtime.tasks import cancel_tasks
from app.storage.database import Database
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

RENEW_SECONDS = 3.0
"""Seconds between two renewals of leases."""

SWEEP_SECONDS = 60.0
"""Seconds between two looks for what has expired."""

YIELD_SECONDS = 0.01
"""Seconds between two transactions, so that others can write."""

SMALL_BYTES = 2**16
"""What is compressed sooner than a thread could be asked to."""

CLAIM_ATTEMPTS = 10
"""A key that is given up each time that somebody looks counts as in use."""


class IdempotencyKeys:
    """The keys of all requests to this process; outcomes hold ``most_bytes`` altogether."""

    def __init__(self, database: Database, most_bytes: int) -> None:
        self._database = database
        self._most_bytes = most_bytes
        self._running: dict[str, Claim] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to renew leases and to delete what has expired."""
        # Two tasks: deleting a great deal takes longer than leases last.
        self._tasks = [
            asyncio.create_task(_repeat(self._renew, RENEW_SECONDS)),
            asyncio.create_task(_repeat(self.sweep, SWEEP_SECONDS)),
        ]

    async def close(self) -> None:
        """Stop after the transactions that are under way."""
        await cancel_tasks(*self._tasks)

    async def claim(self, owner: str, key: str, target: str) -> Claim | Outcome:
        """Take a key for one attempt at a request, or return the outcome that it has.

        ``target`` is the digest of the request without its body. Raises IdempotencyKeyReused,
        IdempotencyKeyInUse, StorageUnavailable.
        """
        claim = Claim(owner, key, uuid.uuid4().hex)
        try:
            found = await self._claim(claim, target)
        except asyncio.CancelledError:
            await self.release(claim)  # the transaction may have taken it
            raise
        if isinstance(found, Outcome):
            return replace(found, content=await _converted(zlib.decompress, found.content))
        self._running[claim.id] = claim
        return found

    async def _claim(self, claim: Claim, target: str) -> Claim | Outcome:
        try:
            for _ in range(CLAIM_ATTEMPTS):
                found = await self._database.write(store.claim_key, claim, target)
                if found is not None:
                    return found
        except store.KeyTaken as taken:
            if not taken.same_target:
                raise IdempotencyKeyReused from taken
        raise IdempotencyKeyInUse

    async def record(self, claim: Claim, outcome: Outcome) -> bool:
        """Keep the outcome of an attempt; False if that failed, which only the log says."""
        try:
            content = await _converted(_compressed, outcome.content)
            stored = replace(outcome, content=content)
            kept = await self._database.write(store.record, claim, stored)
        except StorageUnavailable as error:
            log.warning("the outcome of a request with an idempotency key is not kept: %s", error)
            return False
        except Exception:  # the answer itself is whole
            log.exception("the outcome of a request with an idempotency key is not kept")
            return False
        self._running.pop(claim.id, None)
        return kept

    async def release(self, claim: Claim) -> None:
        """Give an attempt up, unless its outcome is kept: the next request with the key runs."""
        self._running.pop(claim.id, None)  # if the database does not take it, the lease expires
        try:
            await self._database.delete(store.release, claim)
        except StorageUnavailable as error:
            log.warning("an idempotency key could not be released yet: %s", error)
        except Exception:  # the answer itself is whole
            log.exception("an idempotency key could not be released yet")

    async def _renew(self) -> None:
        if self._running:
            await self._database.write(store.renew, list(self._running.values()))

    async def sweep(self) -> None:
        """Delete what has expired and what is too much, in short transactions."""
        while rows := await self._database.read(store.due, self._most_bytes):
            await self._database.delete(store.remove, rows)
            await asyncio.sleep(YIELD_SECONDS)


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except StorageUnavailable as error:
            log.warning("idempotency keys have to wait: %s", error)
        except Exception:  # a bug here must not let the leases of all requests expire
            log.exception("idempotency keys have to wait")


async def _converted(convert: Callable[[bytes], bytes], content: bytes) -> bytes:
    if len(content) <= SMALL_BYTES:
        return convert(content)
    return await asyncio.to_thread(convert, content)


def _compressed(content: bytes) -> bytes:
    return zlib.compress(content, level=1)
