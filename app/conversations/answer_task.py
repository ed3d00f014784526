"""A task of the server that makes one answer, whoever reads it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

from app.conversations.errors import AnswerFailed, cause_of
from app.conversations.store.endings import ABANDONED
from app.conversations.turn import Turn
from app.errors import AppError
from app.provider.errors import ProviderError
from app.provider.runtime.tasks import cancel_tasks
from app.provider.types import End

log = logging.getLogger(__name__)


class AnswerTask:
    """Reads a turn to its end. Then ``end`` is set, or ``error`` to what went wrong."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.end: End | None = None
        self.error: Exception | None = None
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(lambda _: turn.live.end())

    async def _run(self) -> None:
        try:
            async with aclosing(self.turn.events()) as events:
                async for event in events:
                    if isinstance(event, End):
                        self.end = event
        except Exception as error:  # whoever reads the answer reports it, but perhaps nobody does
            self.error = error
            if not isinstance(cause_of(error), (AppError, ProviderError)):
                log.exception("an answer failed")
        except asyncio.CancelledError:
            self.error = AnswerFailed(ABANDONED)
            raise

    async def result(self) -> End:
        """Wait for the end, which a caller that is cancelled does not change; raises ``error``."""
        await asyncio.wait([self.task])
        if self.end is None:
            raise self.error or AnswerFailed(ABANDONED)
        return self.end

    async def begun(self) -> None:
        """Wait until the question is stored; raises what prevents it."""
        while not self.turn.begun and not self.task.done():
            await self.turn.live.changed.wait()
        if not self.turn.begun:
            raise self.error or AnswerFailed(ABANDONED)

    async def stop(self) -> None:
        """Stop the answer; returns when that is stored."""
        await cancel_tasks(self.task)
