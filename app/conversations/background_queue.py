"""The queue of answers in the background: few at once, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from app.provider.errors import EngineBusy
from app.provider.types import Event, Progress


class BackgroundQueue:
    """Lets ``at_once`` answers be made at a time, in the order in which they came.

    They leave room in the engines' own queues, so that nobody who waits for an answer is refused
    because of them.
    """

    def __init__(self, at_once: int) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._waiting = 0

    async def wait_for(
        self, answer: Callable[[], AsyncGenerator[Event, None]]
    ) -> AsyncGenerator[Event, None]:
        """The answer, once it is its turn; while the engine is busy, it is asked again."""
        if self._slots.locked():
            yield Progress("queued", self._waiting)
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            async with aclosing(_until_taken(answer)) as events:
                async for event in events:
                    yield event
        finally:
            self._slots.release()


async def _until_taken(
    answer: Callable[[], AsyncGenerator[Event, None]],
) -> AsyncGenerator[Event, None]:
    while True:
        try:
            async with aclosing(answer()) as events:
                async for event in events:
                    yield event
            return
        except EngineBusy as busy:  # it had no effect
            await asyncio.sleep(busy.retry_after)
