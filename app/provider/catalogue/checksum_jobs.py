"""Computes checksums of models in the background, because gigabytes take longer than a request."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from app.provider.card import ModelCard
from app.provider.catalogue.checksum import checksum
from app.provider.runtime.tasks import cancel_tasks

Key = tuple[Path, str]


class Checksums(Protocol):
    """Computes checksums, here or in another process."""

    async def of(self, card: ModelCard, seconds: float) -> str | None:
        """The checksum of a model's current files.

        None if computing it takes longer than ``seconds``, or if a file cannot be read.
        """

    async def close(self) -> None:
        """Cancel all computations of this process."""


class ChecksumJobs:
    """Computes each checksum once, one at a time. Belongs to one event loop."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[str | None]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def of(self, card: ModelCard, seconds: float) -> str | None:
        """The checksum of a model's current files.

        None if computing it takes longer than ``seconds``, or if a file cannot be read.
        """
        key = card.path, card.stamp
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._compute(card))
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        done, _ = await asyncio.wait([task], timeout=seconds)
        return task.result() if done else None

    async def _compute(self, card: ModelCard) -> str | None:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[str | None] = loop.create_future()

        def compute() -> None:
            sha256 = None
            with suppress(OSError):
                sha256 = checksum(card) or None
            with suppress(RuntimeError):  # the server has stopped meanwhile
                loop.call_soon_threadsafe(_settle, found, sha256)

        async with self._one_at_a_time:
            # A daemon thread: a server that stops does not wait for a long file.
            threading.Thread(target=compute, name="checksum", daemon=True).start()
            return await found

    async def close(self) -> None:
        """Cancel all computations."""
        await cancel_tasks(*self._tasks.values())


def _settle(found: asyncio.Future[str | None], sha256: str | None) -> None:
    if not found.done():
        found.set_result(sha256)
