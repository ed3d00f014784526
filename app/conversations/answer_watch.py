"""Watches answers that other processes make: one look at the database for all of their readers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.conversations.live_answer import ChangeSignal
from app.conversations.store import answers
from app.conversations.store.answers import AnswerKey, StoredText
from app.provider.runtime.tasks import cancel_tasks
from app.storage.database import Database
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.2
"""Seconds between two looks; texts of running answers are stored once a second."""


@dataclass
class WatchedAnswer:
    """An answer as it was stored when somebody last looked; ``changed`` wakes its readers.

    ``running`` is False once it has ended or is gone.
    """

    text: str = ""
    running: bool = True
    changed: ChangeSignal = field(default_factory=ChangeSignal)
    readers: int = 0


class AnswerWatch:
    """Looks at the watched answers as long as there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watched: dict[AnswerKey, WatchedAnswer] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, key: AnswerKey, text: str) -> Iterator[WatchedAnswer]:
        """Watch an answer, whose stored text was ``text``, until the end of the context."""
        watched = self._watched.setdefault(key, WatchedAnswer(text))
        watched.readers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield watched
        finally:
            watched.readers -= 1
            if not watched.readers:
                self._watched.pop(key, None)

    async def close(self) -> None:
        """Stop after the look that is under way."""
        await cancel_tasks(self._task)

    async def _run(self) -> None:
        while self._watched:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                await self._look(dict(self._watched))
            except StorageUnavailable as error:
                log.warning("answers of other servers cannot be read now: %s", error)
            except Exception:  # a bug here must not leave readers waiting for ever
                log.exception("answers of other servers could not be read")

    async def _look(self, watched: dict[AnswerKey, WatchedAnswer]) -> None:
        if not watched:
            return
        lengths = {key: len(answer.text) for key, answer in watched.items()}
        found = await self._database.read(answers.read_texts, lengths)
        for key, answer in watched.items():
            _note(answer, found.get(key))


def _note(answer: WatchedAnswer, found: StoredText | None) -> None:
    running = found is not None and found.status == "generating"
    text = found.text if found and found.text is not None else answer.text
    if (running, text) != (answer.running, answer.text):
        answer.running, answer.text = running, text
        answer.changed.notify()
