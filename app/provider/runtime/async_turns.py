"""Whose turn it is among the jobs of an engine that runs in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager


class Turns:
    """Lets so many jobs run at once, in order of arrival.

    ``moved`` is called whenever the jobs that wait have moved up.
    """

    def __init__(self, slots: int, moved: Callable[[], None]) -> None:
        self._free = slots
        self._moved = moved
        self._waiting: dict[int, asyncio.Event] = {}

    @property
    def waiting(self) -> Iterable[int]:
        """The jobs that wait, in order."""
        return self._waiting

    @asynccontextmanager
    async def turn(self, job: int) -> AsyncIterator[None]:
        """Wait for a slot, and hold it while the block runs."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
        else:
            await self._wait(job)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, job: int) -> None:
        called = self._waiting[job] = asyncio.Event()
        self._moved()
        try:
            await called.wait()
        except asyncio.CancelledError:
            if self._waiting.pop(job, None) is None:
                self._release()  # its turn had come
            else:
                self._moved()
            raise

    def _release(self) -> None:
        """Pass the slot on to who has waited longest."""
        if not self._waiting:
            self._free += 1
            return
        first = next(iter(self._waiting))
        self._waiting.pop(first).set()
        self._moved()
