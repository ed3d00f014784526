"""Ends abandoned answers of servers that died, and runs the background work."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from app.conversations.background_work import BackgroundWork
from app.conversations.store import endings
from app.idempotency import store as idempotency
from app.provider.runtime.tasks import cancel_tasks
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.process_lock import ProcessLock

log = logging.getLogger(__name__)

ROUND_SECONDS = 5.0
"""Seconds between two searches for abandoned answers."""


class AbandonedTurnJanitor:
    """Looks after the database for one server process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._process_lock = ProcessLock(database.engine)
        self._work = BackgroundWork(database)
        self._rounds: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start; if no other server is running, all that is unfinished is abandoned."""
        await asyncio.to_thread(self._process_lock.acquire, self._fail_all_running)
        self._rounds = asyncio.create_task(self._run_rounds())
        self._work.start()

    def _fail_all_running(self) -> None:
        ended = self._database.transact(
            partial(endings.fail_abandoned, all_running=True), writes=True
        )
        if ended:
            log.warning("%d answers were left unfinished and are kept as failed", ended)
        self._database.transact(idempotency.release_all, writes=True)

    async def _run_rounds(self) -> None:
        while True:
            await asyncio.to_thread(self._process_lock.reacquire)
            await self._database.maintain()
            try:
                if await self._database.read(endings.any_abandoned):
                    await self._database.write(endings.fail_abandoned, all_running=False)
            except StorageUnavailable as error:
                log.warning("unfinished answers could not be looked for: %s", error)
            await asyncio.sleep(ROUND_SECONDS)

    async def close(self) -> None:
        """Stop, and release the process lock."""
        await self._work.close()
        await cancel_tasks(self._rounds)
        await asyncio.to_thread(self._process_lock.close)
