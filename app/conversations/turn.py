"""One stored exchange: begun in a transaction, streamed without one, ended in another.

``Turn.events`` is the engine's stream with the storing around it. Whatever ends it, completion, an
error, a stop, a client that hangs up, the answer's row gets its last word exactly once, and the
``End`` is passed on only after that. A turn that nobody reads has never begun.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from app.chat.request import Overflow
from app.conversations.context_window import ContextWindow, fit, prompt_of, require_vision
from app.conversations.errors import ConversationBusy, ConversationNotFound, TurnFailed
from app.conversations.services import ConversationServices
from app.conversations.store import tree, truncation, turns
from app.conversations.store.images import Attachment
from app.conversations.store.tree import HistoryMessage
from app.conversations.store.truncation import TruncationKind, WindowStart
from app.conversations.store.turns import TurnEnding
from app.conversations.target import GenerationTarget
from app.errors import AppError
from app.provider.errors import EngineUnavailable, ProviderError
from app.provider.types import Delta, End, Event, Progress, SeenImage, Size, Started, Usage
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

HEARTBEAT_SECONDS = 1.0
"""Between two signs of life, which also store the text so far and see a request to stop."""

WAIT_SECONDS = 60.0
"""Seconds that a turn waits for the one before it, when asked to."""

RETRY_SECONDS = 0.1
"""Between two attempts to begin while the conversation is busy."""

KINDS: dict[Overflow, TruncationKind] = {"drop_oldest": "dropped", "summarise": "summarised"}

Begin = Callable[[Session], list[HistoryMessage]]
"""The first transaction of a turn: stores its rows, returns the branch, the question last."""


@dataclass(frozen=True, slots=True)
class Context:
    """What of the branch the model was shown, in tokens and by the ids of what it was not."""

    prompt_tokens: int
    limit: int
    dropped: tuple[str, ...] = ()
    summarised: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnEnd(End):
    """The end of a stored answer. The usage of a cancelled one is not known."""

    context: Context = field(kw_only=True)


@dataclass
class Turn:
    """One turn in progress. ``begin`` is its first transaction."""

    services: ConversationServices
    target: GenerationTarget
    overflow: Overflow
    waits: bool
    begin: Begin
    _history: list[HistoryMessage] = field(default_factory=list)
    _start: WindowStart = field(default_factory=WindowStart)
    _text: list[str] = field(default_factory=list)
    _retracted: int = 0
    _context: Context | None = None
    _started: Started | None = None
    _begun: bool = False
    _ended: bool = False
    _gone: bool = False
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def events(self) -> AsyncGenerator[Event, None]:
        """The answer; raises TurnFailed once the turn is stored, what stands in its way before."""
        keeper: asyncio.Task[None] | None = None
        try:
            async with aclosing(self._begin()) as waiting:
                async for progress in waiting:
                    yield progress
            keeper = asyncio.create_task(self._keep())
            async with aclosing(until(self._answer(), self._stop)) as events:
                async for event in events:
                    yield await self._recorded(event)
            if not self._ended:
                yield await self._stopped()
        except (asyncio.CancelledError, GeneratorExit):
            with suppress(StorageUnavailable):  # nobody is left to hear of it
                await self._end(TurnEnding("stopped", self.text))
            raise
        except Exception as error:
            if not self._begun:
                raise
            await self._failed(error)
            raise TurnFailed(error, self.target.conversation_id, self.target.answer_id) from error
        finally:
            self.services.stop_signals.pop(self.target.answer_id, None)
            if keeper:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)

    @property
    def text(self) -> str:
        """The answer so far, without what turned out to be thinking."""
        return "".join(self._text)[self._retracted :]

    # ---------------------------------------------------------------- its beginning

    async def _begin(self) -> AsyncGenerator[Progress, None]:
        deadline = time.monotonic() + WAIT_SECONDS
        announced = False
        while not self._begun:
            try:
                self._history, self._start = await self._write(self._open)
                self._begun = True
                self.begin = _spent  # it holds the images, which are stored now
            except ConversationBusy:
                if not self.waits or time.monotonic() > deadline:
                    raise
                if not announced:
                    yield Progress("queued", 1)
                announced = True
                await asyncio.sleep(RETRY_SECONDS)

    def _open(self, session: Session) -> tuple[list[HistoryMessage], WindowStart]:
        target, kind, start = self.target, KINDS.get(self.overflow), WindowStart()
        history = self.begin(session)
        if kind and len(history) > 1:
            start = truncation.window_start(session, target.conversation_id, kind, history)
        left_out, shown = history[: start.at], history[start.at :]
        shown = tree.with_images(session, target.conversation_id, shown, target.max_images)
        require_vision(target, shown)  # nothing has been stored if it raises
        return [*left_out, *shown], start

    # ---------------------------------------------------------------- the answer

    async def _answer(self) -> AsyncGenerator[Event, None]:
        pool, model = self.target.pool, self.target.model
        prompt = prompt_of(self.target, self._history, self._start)
        async with aclosing(pool.measure(model, prompt)) as measured:
            async for step in measured:
                if isinstance(step, Size):
                    whole = ContextWindow(prompt, step, self._start)
                else:
                    yield step
        window = await fit(self.target, self._history, self.overflow, whole)
        await self._use(window)
        async with aclosing(pool.stream(model, window.prompt)) as events:
            async for event in events:
                yield event
                if isinstance(event, End):
                    return
        raise EngineUnavailable("The answer broke off.", 1.0)

    async def _use(self, window: ContextWindow) -> None:
        """Note what the window leaves out, for this answer and for the turns after it."""
        at, kind = window.start.at, KINDS.get(self.overflow)
        left_out = tuple(message.id for message in self._history[:at])
        omitted = {kind: left_out} if kind else {}
        self._context = Context(window.size.tokens, window.size.limit, **omitted)
        if kind and at > self._start.at:
            row = (self.target.conversation_id, kind, left_out[-1], window.start.summary)
            await self._write(truncation.add, *row)

    async def _recorded(self, event: Event) -> Event:
        match event:
            case Delta():
                event = replace(event, text=event.text.replace("\0", "\ufffd"))
                self._text.append(event.text)  # no database keeps a NUL
                self._retracted = event.retracted
            case Started():
                self._started = event
            case End(reason=reason, usage=usage):
                self._retracted = event.retracted
                await self._end(TurnEnding("complete", self.text, reason, asdict(usage)))
                return TurnEnd(reason, usage, self._retracted, context=self.context)
        return event

    @property
    def seen(self) -> tuple[SeenImage, ...]:
        """The images of the prompt as the model was shown them, once it has begun."""
        return self._started.images if self._started else ()

    @property
    def images(self) -> tuple[Attachment, ...]:
        """The images of the question, once the turn has begun."""
        return self._history[-1].images if self._history else ()

    @property
    def context(self) -> Context:
        """What the model was shown; zeros before it was shown anything."""
        return self._context or Context(0, 0)

    # ---------------------------------------------------------------- while it runs

    async def _keep(self) -> None:
        """Renew the lease, store the text so far, and see whether the answer is to stop."""
        ids = (self.target.conversation_id, self.target.answer_id)
        signal = self.services.stop_signals[self.target.answer_id] = asyncio.Event()
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await signal.wait()
            signal.clear()
            try:
                stop = await self._write(turns.keep, *ids, self.text)
            except StorageUnavailable as error:
                log.warning("an answer could not be saved so far: %s", error)
                continue
            self._gone = stop is None
            if stop is not False:
                self._stop.set()

    # ---------------------------------------------------------------- its end

    async def _stopped(self) -> End:
        if self._gone:
            raise ConversationNotFound(self.target.conversation_id)
        await self._end(TurnEnding("stopped", self.text, "cancelled"))
        begun = self._started or Started(self.context.prompt_tokens, 0)
        usage = Usage(begun.prompt_tokens, 0, begun.cached_tokens)
        return TurnEnd("cancelled", usage, self._retracted, context=self.context)

    async def _failed(self, error: Exception) -> None:
        known = isinstance(error, (AppError, ProviderError))
        reason = str(error) if known else "The server made a mistake."
        with suppress(StorageUnavailable):  # the client hears why the turn failed, perhaps of this
            await self._end(TurnEnding("failed", self.text, error=reason))

    async def _end(self, ending: TurnEnding) -> None:
        """Write the last word, unless it has been written; raises ConversationNotFound."""
        if self._ended:
            return
        self._ended = True
        ending = replace(ending, seen=self.seen)
        context = asdict(self._context) if self._context else None
        ids = (self.target.conversation_id, self.target.answer_id)
        try:
            stored = await self._write(turns.end, *ids, ending, context)
        except StorageUnavailable:
            self._ended = False  # perhaps it can be stored that it failed
            raise
        if not stored and ending.status == "complete":
            raise ConversationNotFound(self.target.conversation_id)

    async def _write(self, work: Callable[..., T], *args: Any) -> T:
        return await self.services.database.write(work, *args)


def _spent(_: Session) -> list[HistoryMessage]:
    raise RuntimeError("A turn begins once.")


async def until(
    events: AsyncGenerator[Event, None], stop: asyncio.Event
) -> AsyncGenerator[Event, None]:
    """Pass events on until there are no more, or ``stop`` is set; then close their source."""
    stopping = asyncio.create_task(stop.wait())
    try:
        async with aclosing(events):
            while not stop.is_set():
                coming = asyncio.ensure_future(anext(events, None))
                try:
                    await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                        await asyncio.gather(coming, return_exceptions=True)
                if coming.cancelled() or (event := coming.result()) is None:
                    return
                yield event
    finally:
        stopping.cancel()
