"""One stored question and its answer: begun in a transaction, streamed, ended in another one.

``Turn.events`` is the engine's stream; it stores the turn as it goes. However the stream ends
(completion, error, stop, disconnected client), the end is stored exactly once, and ``End`` is
passed on only after that. A turn whose events nobody reads stores nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from app.chat.answer import stream_answer
from app.chat.answer_content import AnswerContent
from app.chat.request import Overflow
from app.conversations.background_queue import BackgroundQueue
from app.conversations.context_window import (
    build_prompt,
    prompt_size,
    require_vision,
    shorten_window,
    whole_prompt,
)
from app.conversations.errors import ConversationBusy, ConversationNotFound, TurnFailed
from app.conversations.heartbeat import RunningAnswer, until_stopped
from app.conversations.live_answer import LiveAnswer
from app.conversations.services import ConversationServices
from app.conversations.store import endings, tree, truncation
from app.conversations.store.endings import TurnEnding
from app.conversations.store.images import Attachment
from app.conversations.store.tree import HistoryMessage
from app.conversations.store.truncation import TruncationKind, WindowStart
from app.conversations.target import GenerationTarget
from app.conversations.turn_end import Context, TurnEnd, beside_text
from app.errors import AppError
from app.idempotency.outcome import discard_outcome
from app.provider.errors import ContextOverflow, EngineUnavailable, ProviderError
from app.provider.types import End, Event, Progress, Prompt, SeenImage, Size, Started, Usage
from app.storage.errors import StorageUnavailable

T = TypeVar("T")

WAIT_SECONDS = 60.0
"""How long a turn waits for a running one, if the request asks it to wait."""

RETRY_SECONDS = 0.1
"""Seconds between two attempts to begin while the conversation is busy."""

TRUNCATION_KINDS: dict[Overflow, TruncationKind] = {
    "drop_oldest": "dropped",
    "summarise": "summarised",
}

Begin = Callable[[Session], list[HistoryMessage]]
"""The first transaction of a turn: stores its rows, returns the branch, the question last."""


@dataclass
class Turn:
    """One turn in progress.

    With a ``queue`` the answer waits there until it may be made. ``interrupted`` says that the
    server is about to cancel it, so the answer is stored as failed and not as stopped.
    """

    services: ConversationServices
    target: GenerationTarget
    overflow: Overflow
    wait_when_busy: bool
    begin: Begin
    queue: BackgroundQueue | None = None
    interrupted: bool = False
    live: LiveAnswer = field(init=False)
    _history: list[HistoryMessage] = field(default_factory=list)
    _start: WindowStart = field(default_factory=WindowStart)
    _context: Context | None = None
    _begun: bool = False
    _ended: bool = False

    def __post_init__(self) -> None:
        self.live = LiveAnswer(AnswerContent(keeps_thinking=self.target.options.thinking))

    async def events(self) -> AsyncGenerator[Event, None]:
        """The answer; raises the error itself before the turn is stored, TurnFailed afterwards."""
        ids = (self.target.conversation_id, self.target.answer_id)
        running = RunningAnswer(*ids, lambda: self.text, live=self.live)
        try:
            async with aclosing(self._begin()) as waiting:
                async for progress in waiting:
                    yield self.live.add(progress)
            with self._kept_alive(running):
                async with aclosing(until_stopped(self._made(), running.stop)) as events:
                    async for event in events:
                        yield await self._record(event)
            if not self._ended:
                yield await self._end_stopped(running.deleted)
        except (asyncio.CancelledError, GeneratorExit):
            with suppress(StorageUnavailable):  # the client is gone
                await self._end(self._cancelled())
            raise
        except Exception as error:
            if not self._begun:
                raise
            await self._end_failed(error)
            raise TurnFailed(error, *ids) from error
        finally:
            self.live.end()

    @property
    def begun(self) -> bool:
        """Whether the question is stored, and the answer is being made."""
        return self._begun

    @property
    def text(self) -> str:
        """The answer so far, without text that turned out to be thinking."""
        return self.live.content.text

    # ---------------------------------------------------------------- beginning

    async def _begin(self) -> AsyncGenerator[Progress, None]:
        deadline = time.monotonic() + WAIT_SECONDS
        announced = False
        while not self._begun:
            try:
                self._history, self._start = await self._store_beginning()
                self._begun = True
                self.begin = _already_begun  # frees the images, which are stored now
                self.live.changed.notify()
            except ConversationBusy:
                if not self.wait_when_busy or time.monotonic() > deadline:
                    raise
                if not announced:
                    yield Progress("queued", 1)
                announced = True
                await asyncio.sleep(RETRY_SECONDS)

    def _open(self, session: Session) -> tuple[list[HistoryMessage], WindowStart]:
        target, kind, start = self.target, TRUNCATION_KINDS.get(self.overflow), WindowStart()
        history = self.begin(session)
        if kind and len(history) > 1:
            start = truncation.window_start(session, target.conversation_id, kind, history)
        left_out, shown = history[: start.index], history[start.index :]
        shown = tree.with_images(session, target.conversation_id, shown, target.max_images)
        require_vision(target, shown)  # if it raises, the transaction stores nothing
        return [*left_out, *shown], start

    async def _store_beginning(self) -> tuple[list[HistoryMessage], WindowStart]:
        return await self._write(self._open)

    def _kept_alive(self, running: RunningAnswer) -> AbstractContextManager[None]:
        return self.services.heartbeat.running(running)

    # ---------------------------------------------------------------- the answer

    def _made(self) -> AsyncGenerator[Event, None]:
        return self.queue.wait_for(self._answer) if self.queue else self._answer()

    async def _answer(self) -> AsyncGenerator[Event, None]:
        """Submit the whole prompt; if it does not fit, look for a window and submit that."""
        prompt = whole_prompt(self.target, self._history, self._start, self.overflow)
        size: Size | None = None
        try:
            async with aclosing(self._submit(prompt) if prompt else self._measure()) as events:
                async for event in events:
                    if isinstance(event, Size):
                        size = event
                    else:
                        yield event
        except ContextOverflow as refusal:
            if prompt is None or not prompt.answer_room:
                raise
            size = prompt_size(refusal, prompt)
        if size:
            async with aclosing(self._submit(await self._shorten(size))) as answer:
                async for event in answer:
                    yield event

    async def _submit(self, prompt: Prompt) -> AsyncGenerator[Event, None]:
        async with aclosing(stream_answer(self.target.pool, self.target.model, prompt)) as events:
            async for event in events:
                yield event
                if isinstance(event, End):
                    return
        raise EngineUnavailable("The answer broke off.", 1.0)

    def _measure(self) -> AsyncGenerator[Progress | Size, None]:
        prompt = build_prompt(self.target, self._history, self._start)
        return self.target.pool.measure(self.target.model, prompt)

    async def _shorten(self, size: Size) -> Prompt:
        """The prompt of a shorter window; stores for later turns where the window begins."""
        given = (self.target, self._history, self.overflow, self._start, size)
        window = await shorten_window(*given)
        moved, self._start = window.start != self._start, window.start
        self._record_context(window.size)
        if moved:
            await self._store_truncation(window.start)
        return window.prompt

    async def _store_truncation(self, start: WindowStart) -> None:
        last = self._history[start.index - 1].id
        cut = (TRUNCATION_KINDS[self.overflow], last, start.summary)
        await self._write(truncation.add_truncation, self.target.conversation_id, *cut)

    def _record_context(self, size: Size) -> None:
        kind = TRUNCATION_KINDS.get(self.overflow)
        left_out = self._history[: self._start.index]
        listed = tuple(message.id for message in left_out if message.is_listed)
        self._context = Context(size.tokens, size.limit, **({kind: listed} if kind else {}))

    async def _record(self, event: Event) -> Event:
        event = self.live.add(event)
        match event:
            case Started():
                self._record_context(Size(event.prompt_tokens, event.context_length))
            case End(reason=reason, usage=usage):
                await self._end(TurnEnding("complete", self.text, reason, usage.counts()))
                return TurnEnd(reason, usage, event.retracted, context=self.context)
        return event

    @property
    def seen(self) -> tuple[SeenImage, ...]:
        """The images of the prompt as the model saw them; empty before it has read them."""
        return self.live.started.images if self.live.started else ()

    @property
    def images(self) -> tuple[Attachment, ...]:
        """The images of the question; empty before the turn has begun."""
        return self._history[-1].images if self._history else ()

    @property
    def context(self) -> Context:
        """What the model was shown; zeros before the engine has accepted the prompt."""
        return self._context or Context(0, 0)

    # ---------------------------------------------------------------- ending

    async def _end_stopped(self, deleted: bool) -> End:
        if deleted:
            raise ConversationNotFound(self.target.conversation_id)
        discard_outcome()
        await self._end(TurnEnding("stopped", self.text, "cancelled"))
        begun = self.live.started or Started(self.context.prompt_tokens, 0)
        usage = Usage(begun.prompt_tokens, 0, begun.cached_tokens)
        retracted = self.live.content.retracted
        return TurnEnd("cancelled", usage, retracted, context=self.context)

    def _cancelled(self) -> TurnEnding:
        if self.interrupted:
            return TurnEnding("failed", self.text, error=endings.ABANDONED)
        return TurnEnding("stopped", self.text)

    async def _end_failed(self, error: Exception) -> None:
        known = isinstance(error, (AppError, ProviderError))
        reason = str(error) if known else "The server made a mistake."
        with suppress(StorageUnavailable):  # the client gets the original error in any case
            await self._end(TurnEnding("failed", self.text, error=reason))

    async def _end(self, ending: TurnEnding) -> None:
        """Store how the answer ended, once; raises ConversationNotFound."""
        if self._ended:
            return
        self._ended = True
        # Whoever offered no tools has no place for a call.
        called = ending.finish_reason == "tool_calls"
        with_calls = called and bool(self.target.options.tools)
        beside = beside_text(self.live.content, with_calls=with_calls)
        try:
            stored = await self._store_end(replace(ending, seen=self.seen, beside=beside))
        except StorageUnavailable:
            self._ended = False  # storing it as failed may still work
            raise
        if not stored and ending.status == "complete":
            raise ConversationNotFound(self.target.conversation_id)

    async def _store_end(self, ending: TurnEnding) -> bool:
        context = asdict(self._context) if self._context else None
        ids = (self.target.conversation_id, self.target.answer_id)
        return await self._write(endings.end, *ids, ending, context)

    async def _write(self, work: Callable[..., T], *args: Any) -> T:
        return await self.services.database.write(work, *args)


def _already_begun(_: Session) -> list[HistoryMessage]:
    raise RuntimeError("A turn begins once.")
