"""Readers of one answer: whoever asked, and whoever joins later, in this process or another.

A reader is a ``Source`` of ``app.web.sse``: it gives what is new when it is asked for, so a slow
client holds nothing but its own place in the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import cast

from app.conversations.answer_task import AnswerTask
from app.conversations.answer_watch import AnswerWatch, WatchedAnswer
from app.conversations.errors import AnswerFailed, TurnFailed
from app.conversations.heartbeat import Heartbeat
from app.conversations.live_answer import ChangeSignal, LiveAnswer
from app.conversations.read_position import Catchup, ReadPosition, Reset
from app.conversations.store import answers
from app.conversations.store.answers import AnswerKey, StoredAnswer
from app.conversations.turn import Turn
from app.provider.types import (
    End,
    Event,
    FinishReason,
    Progress,
    ToolCallDelta,
    ToolCallPart,
    Usage,
)
from app.storage.database import Database


@dataclass(frozen=True, slots=True)
class AnswerSources:
    """Where answers are read from."""

    database: Database
    heartbeat: Heartbeat
    watch: AnswerWatch


ReadEvent = Event | Reset
Batch = list[ReadEvent | Exception]


class StoredEnd(End, frozen=True, kw_only=True):
    """The end of an answer, as it is stored."""

    answer: StoredAnswer


class LiveNews:
    """What is new of an answer that this process makes."""

    def __init__(self, live: LiveAnswer, catchup: Catchup) -> None:
        self._live = live
        self._catchup = catchup
        self._progress: Progress | None = None
        self._started = False

    def read(self) -> Batch:
        """Progress, the start, thinking and text since the last call."""
        live, news = self._live, Batch()
        if live.progress is not self._progress and live.progress:
            self._progress = live.progress
            news.append(live.progress)
        if live.started and not self._started:
            self._started = True
            news.append(live.started)
        return [*news, *self._catchup.live(live.content)]


class AskerReader:
    """Reads the answer for whoever asked, which makes it begin.

    With ``stops``, closing the reader stops the answer.
    """

    def __init__(self, turn: Turn, start: Callable[[Turn], AnswerTask], *, stops: bool) -> None:
        self._live = turn.live
        self._start = partial(start, turn)
        self._task: AnswerTask | None = None
        self._stops = stops
        self._news = LiveNews(turn.live, Catchup(ReadPosition()))

    async def batch(self, seconds: float) -> Batch:
        """Everything that is new; waits so long for it, then returns nothing."""
        self._task = self._task or self._start()
        try:
            async with asyncio.timeout(seconds):
                while not (news := self._read(self._task)):
                    await self._live.changed.wait()
                return news
        except TimeoutError:
            return []

    def _read(self, task: AnswerTask) -> Batch:
        news = self._news.read()
        if task.end:
            return [*news, *_calls(self._live.content.tool_calls), task.end]
        return [*news, task.error] if task.error else news

    async def aclose(self) -> None:
        """Stop reading."""
        if self._task and self._stops:
            await self._task.stop()


class JoinedReader:
    """Reads a stored answer from a position on, running or ended, whichever process makes it."""

    def __init__(
        self,
        sources: AnswerSources,
        owner: str,
        answer: StoredAnswer,
        position: ReadPosition,
    ) -> None:
        self._sources = sources
        self._owner = owner
        self.answer = answer
        self._key = AnswerKey(answer.row.conversation_id, answer.row.id)
        self._catchup = Catchup(position)
        self._live: LiveAnswer | None = None
        self._news: LiveNews | None = None
        self._watched: WatchedAnswer | None = None
        self._contexts = ExitStack()

    async def batch(self, seconds: float) -> Batch:
        """Everything that is new; waits so long for it, then returns nothing."""
        try:
            async with asyncio.timeout(seconds):
                while not (news := await self._read_or_fail()):
                    await self._changed.wait()
                return news
        except TimeoutError:
            return []

    async def aclose(self) -> None:
        """Stop reading; the answer goes on."""
        self._contexts.close()

    @property
    def _changed(self) -> ChangeSignal:
        if source := self._live or self._watched:
            return source.changed
        raise RuntimeError("An answer that has ended is news.")

    async def _read_or_fail(self) -> Batch:
        try:
            return await self._read()
        except Exception as error:  # the stream says so, or logs it
            return [error]

    async def _read(self) -> Batch:
        self._find_live()
        if self._live and self._news:
            if (news := self._news.read()) or not self._live.ended:
                return news
            await self._read_again()
        elif self._watched and self._watched.running:
            return [*self._catchup.stored(self._watched.text)]
        elif self._watched:
            await self._read_again()
        if self.answer.row.status == "generating":
            return self._watch()
        return self._final()

    def _find_live(self) -> None:
        """Read along from memory as soon as this process makes the answer."""
        running = self._sources.heartbeat.find(self._key.answer_id)
        if self._live is None and running:
            self._live = running.live
            self._news = LiveNews(running.live, self._catchup)

    async def _read_again(self) -> None:
        """Read how the answer has ended."""
        self.answer = await self._sources.database.read(
            answers.read_answer, self._owner, *self._key
        )
        self._live = self._news = None

    def _watch(self) -> Batch:
        if self._watched is None:
            text = self.answer.row.content
            watching = self._sources.watch.watching(self._key, text)
            self._watched = self._contexts.enter_context(watching)
        return [*self._catchup.stored(self._watched.text)]

    def _final(self) -> Batch:
        row, news = self.answer.row, Batch()
        news += self._catchup.final(row.content, self.answer.thinking)
        news += _calls(self.answer.tool_calls)
        if row.status == "failed":
            cause = AnswerFailed(row.error or "The answer failed.")
            return [*news, TurnFailed(cause, *self._key)]
        return [*news, _stored_end(self.answer)]


def _calls(calls: Sequence[ToolCallPart]) -> list[ToolCallDelta]:
    """The tool calls, each as a whole."""
    return [
        ToolCallDelta(index, call.id, call.name, call.arguments) for index, call in enumerate(calls)
    ]


def _stored_end(answer: StoredAnswer) -> StoredEnd:
    row = answer.row
    stored = "cancelled" if row.status == "stopped" else row.finish_reason or "stop"
    usage = Usage(**row.usage) if row.usage else Usage(0, 0, 0)
    return StoredEnd(cast("FinishReason", stored), usage, answer=answer)
