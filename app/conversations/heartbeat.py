"""Keeps the running answers of this process alive: one heartbeat a second for all of them.

A heartbeat renews the leases, saves the texts that changed, and notices answers that are to be
stopped and conversations that have been deleted. It is one transaction, or a few if there is much
text, so that a new turn never waits long for the one writer of SQLite. One that fails or comes late
loses nothing: the next one saves what it did not, and a lease lasts for several.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from app.conversations.live_answer import LiveAnswer
from app.conversations.store import progress
from app.conversations.store.progress import AnswerProgress
from app.provider.runtime.tasks import cancel_tasks
from app.storage.database import Database
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

HEARTBEAT_SECONDS = 1.0
"""Seconds between two heartbeats."""

MAX_ANSWERS = 500
MAX_LETTERS = 2_000_000
"""Answers and letters of one transaction."""


class StopSignal:
    """Says that an answer is to end, and ends the wait for its next event."""

    def __init__(self) -> None:
        self._set = False
        self._wait: asyncio.Timeout | None = None

    def set(self) -> None:
        """Stop."""
        if self._wait and not self._set:
            self._wait.reschedule(asyncio.get_running_loop().time())
        self._set = True

    async def next_before(self, events: AsyncGenerator[T, None]) -> T | None:
        """The next event; None if there is none or if this is set first."""
        if self._set:
            return None
        try:
            # Not a task that is waited for beside this signal: that takes longer than an event.
            async with asyncio.timeout(None) as self._wait:
                return await anext(events, None)
        except TimeoutError:
            if self._set:
                return None
            raise
        finally:
            self._wait = None


@dataclass
class RunningAnswer:
    """An answer that this process makes; ``text`` returns the answer so far.

    ``stop`` is set when the answer is to end; ``deleted`` says that its conversation is gone.
    ``live`` is for those who read along.
    """

    conversation_id: str
    answer_id: str
    text: Callable[[], str]
    stop: StopSignal = field(default_factory=StopSignal)
    deleted: bool = False
    saved: str = ""
    live: LiveAnswer = field(default_factory=LiveAnswer)


Piece = list[tuple[RunningAnswer, str]]
"""What one transaction saves: answers and their texts."""


class Heartbeat:
    """The heartbeat of one process; it beats between ``start`` and ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: dict[str, RunningAnswer] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop after the transaction that is under way."""
        await cancel_tasks(self._task)

    @contextmanager
    def running(self, answer: RunningAnswer) -> Iterator[None]:
        """Keep the answer alive until the end of the context."""
        self._running[answer.answer_id] = answer
        try:
            yield
        finally:
            del self._running[answer.answer_id]

    def find(self, answer_id: str) -> RunningAnswer | None:
        """The answer, if this process makes it."""
        return self._running.get(answer_id)

    @property
    def answers(self) -> list[RunningAnswer]:
        """The answers that this process makes."""
        return list(self._running.values())

    def stop(self, answer_id: str) -> None:
        """Stop an answer at once if this process makes it, without waiting for a heartbeat."""
        if answer := self._running.get(answer_id):
            answer.stop.set()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._beat()

    async def _beat(self) -> None:
        answers = sorted(self.answers, key=lambda answer: answer.conversation_id)
        for piece in _pieces(answers):
            try:
                await self._save(piece)
            except StorageUnavailable as error:
                log.warning("running answers could not be saved so far: %s", error)
                return
            except Exception:  # a bug here must not let the leases of all answers expire
                log.exception("%d running answers could not be saved so far", len(piece))

    async def _save(self, piece: Piece) -> None:
        rows = [
            AnswerProgress(
                answer.conversation_id, answer.answer_id, text if text != answer.saved else None
            )
            for answer, text in piece
        ]
        stopping = await self._database.write(progress.save_progress, rows)
        for answer, text in piece:
            if answer.answer_id in stopping:
                answer.saved = text
                _note(answer, stopping[answer.answer_id])


def _note(answer: RunningAnswer, stopping: bool | None) -> None:
    """Tell the answer whether to stop; None: it has been deleted."""
    answer.deleted = stopping is None
    if stopping is not False:
        answer.stop.set()


def _pieces(answers: Iterable[RunningAnswer]) -> Iterator[Piece]:
    """The answers in pieces for one transaction each; a text is read when its piece is made."""
    piece: Piece = []
    letters = 0
    for answer in answers:
        text = answer.text()
        piece.append((answer, text))
        letters += len(text) if text != answer.saved else 0
        if letters >= MAX_LETTERS or len(piece) >= MAX_ANSWERS:
            yield piece
            piece, letters = [], 0
    if piece:
        yield piece


async def until_stopped(
    events: AsyncGenerator[T, None], stop: StopSignal
) -> AsyncGenerator[T, None]:
    """Pass events on until there are no more or ``stop`` is set; then close their source."""
    async with aclosing(events):
        while (event := await stop.next_before(events)) is not None:
            yield event
