"""Background work on large texts and conversations, in many short transactions.

The work is recorded in the database, so it continues after a restart, and any server may do it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import IntegrityError

from app.conversations.store import index_backlog, removal
from app.provider.runtime.tasks import cancel_tasks
from app.storage.database import Database
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Seconds between two searches for work."""

WAIT_SECONDS = 10.0
"""Seconds to wait after a failure."""

YIELD_SECONDS = 0.01
"""Seconds between two transactions, so that other processes can write to SQLite."""


class BackgroundWork:
    """Does the background work of one server process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the work. Removal runs apart from indexing: it can continue on a full disk."""
        self._running = [
            asyncio.create_task(self._repeat(step)) for step in (self._remove, self._index)
        ]

    async def _repeat(self, step: Callable[[], Awaitable[bool]]) -> None:
        while True:
            pause = PAUSE_SECONDS
            try:
                while await step():
                    pass
            except (StorageUnavailable, IntegrityError) as error:
                log.warning("the work in the background has to wait: %s", error)
                pause = WAIT_SECONDS
            await asyncio.sleep(pause)

    async def finish(self) -> None:
        """Do all work that there is now; raises StorageUnavailable, IntegrityError."""
        while await self._remove() or await self._index():
            pass

    async def _index(self) -> bool:
        """Index a round of texts; whether this server finished any."""
        plans = await self._database.scan(index_backlog.next_plans)
        if not plans:
            return False
        await asyncio.to_thread(_prepare, plans)
        more = True
        while more:
            more = await self._database.write(index_backlog.write_piece, plans)
            await asyncio.sleep(YIELD_SECONDS)
        return await self._database.write(index_backlog.remove_finished, plans)

    async def _remove(self) -> bool:
        """Delete a batch of messages; whether there was one."""
        batch = await self._database.scan(removal.next_batch)
        if batch is None:
            return False
        left: removal.RemovalBatch | None = batch
        while left is not None:
            left = await self._database.delete(removal.delete_batch, left)
            await asyncio.sleep(YIELD_SECONDS)
        return True

    async def close(self) -> None:
        """Stop after the transaction that is under way."""
        await cancel_tasks(*self._running)


def _prepare(plans: list[index_backlog.IndexPlan]) -> None:
    for plan in plans:
        plan.prepare()
