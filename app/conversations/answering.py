"""Stored answers as tasks of the server: made whoever reads them, in the background too."""

from __future__ import annotations

import asyncio
import logging

from app.conversations.answer_readers import AnswerSources, AskerReader, JoinedReader
from app.conversations.answer_task import AnswerTask
from app.conversations.answer_watch import AnswerWatch
from app.conversations.background_queue import BackgroundQueue
from app.conversations.errors import TooManyBackgroundAnswers
from app.conversations.read_position import ReadPosition
from app.conversations.services import ConversationServices
from app.conversations.store import answers
from app.conversations.turn import Turn
from app.provider.types import End

log = logging.getLogger(__name__)

FINISH_SECONDS = 10.0
"""How long answers that do not stop with their reader may go on when the server ends."""


class Answering:
    """The answers that tasks of this process make.

    Of those in the background ``at_once`` are made at a time, and ``most`` are taken.
    """

    def __init__(self, services: ConversationServices, at_once: int, most: int) -> None:
        self._sources = AnswerSources(
            services.database, services.heartbeat, AnswerWatch(services.database)
        )
        self._queue = BackgroundQueue(at_once)
        self._most = most
        self._tasks: set[AnswerTask] = set()

    def start(self, turn: Turn) -> AnswerTask:
        """Make the answer in a task."""
        made = AnswerTask(turn)
        self._tasks.add(made)
        made.task.add_done_callback(lambda _: self._tasks.discard(made))
        return made

    def read(self, turn: Turn, *, stops: bool) -> AskerReader:
        """Make the answer and read it; with ``stops``, closing the reader stops the answer."""
        return AskerReader(turn, self.start, stops=stops)

    async def finish(self, turn: Turn, *, stops: bool) -> End:
        """Make the answer and wait for its end; with ``stops``, cancelling the wait stops it.

        Raises what the turn raises.
        """
        made = self.start(turn)
        try:
            return await made.result()
        finally:
            if stops:
                await made.stop()

    async def start_in_background(self, turn: Turn) -> None:
        """Make the answer when it is its turn; returns when the question is stored.

        Raises TooManyBackgroundAnswers and what the beginning of the turn raises.
        """
        if sum(one.turn.queue is not None for one in self._tasks) >= self._most:
            raise TooManyBackgroundAnswers(self._most)
        turn.queue = self._queue
        await self.start(turn).begun()

    async def join(
        self, owner: str, conversation_id: str, message_id: str, position: ReadPosition
    ) -> JoinedReader:
        """Read a stored answer from a position on.

        Raises ConversationNotFound, MessageNotFound, and InvalidRequest for a question.
        """
        found = await self._sources.database.read(
            answers.read_answer, owner, conversation_id, message_id
        )
        return JoinedReader(self._sources, owner, found, position)

    async def close(self) -> None:
        """Let the answers finish, for ``FINISH_SECONDS`` at most; store the others as failed."""
        if tasks := list(self._tasks):
            log.info("%d answers are being finished", len(tasks))
            await asyncio.wait([one.task for one in tasks], timeout=FINISH_SECONDS)
        for one in self._tasks:
            one.turn.interrupted = True
        await asyncio.gather(*(one.stop() for one in list(self._tasks)))
        await self._sources.watch.close()
