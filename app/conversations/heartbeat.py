"""Keeps a running answer alive: renews its lease, saves its text, notices a request to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from app.conversations.services import ConversationServices
from app.conversations.store import turns
from app.conversations.target import GenerationTarget
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

HEARTBEAT_SECONDS = 1.0
"""Seconds between two heartbeats."""


@dataclass
class Heartbeat:
    """The heartbeat of one answer; ``text`` returns the answer so far.

    ``stop`` is set when the answer is to end; ``deleted`` says that its conversation is gone.
    """

    services: ConversationServices
    target: GenerationTarget
    text: Callable[[], str]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    deleted: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Beat until the end of the context."""
        signal = self.services.stop_signals[self.target.answer_id] = asyncio.Event()
        task = asyncio.create_task(self._run(signal))
        try:
            yield
        finally:
            self.services.stop_signals.pop(self.target.answer_id, None)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, signal: asyncio.Event) -> None:
        while not self.stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await signal.wait()
            signal.clear()
            await self._beat()

    async def _beat(self) -> None:
        ids = (self.target.conversation_id, self.target.answer_id)
        try:
            stop = await self.services.database.write(turns.save_progress, *ids, self.text())
        except StorageUnavailable as error:
            log.warning("an answer could not be saved so far: %s", error)
            return
        self.deleted = stop is None
        if stop is not False:
            self.stop.set()


async def until_stopped(
    events: AsyncGenerator[T, None], stop: asyncio.Event
) -> AsyncGenerator[T, None]:
    """Pass events on until there are no more or ``stop`` is set; then close their source."""
    stopping = asyncio.create_task(stop.wait())
    try:
        async with aclosing(events):
            while not stop.is_set():
                event = await _next_or_stop(events, stopping)
                if event is None:
                    return
                yield event
    finally:
        stopping.cancel()


async def _next_or_stop(events: AsyncGenerator[T, None], stopping: asyncio.Task[bool]) -> T | None:
    """The next event; None if there is none or if ``stopping`` is done first."""
    coming = asyncio.ensure_future(anext(events, None))
    try:
        await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
    return None if coming.cancelled() else coming.result()
