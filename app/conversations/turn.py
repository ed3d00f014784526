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

from sqlalchemy.orm import Session

from app.conversations.context_window import Overflow, View, fitted, prompt, require_sight
from app.conversations.errors import ConversationBusy, ConversationNotFound, TurnFailed
from app.conversations.store import tree, truncation, turns
from app.conversations.store.images import Attached
from app.conversations.store.tree import Said
from app.conversations.store.truncation import Beginning, CutKind
from app.conversations.store.turns import Ending, Ids
from app.conversations.target import Stage
from app.errors import AppError
from app.provider.errors import EngineUnavailable, ProviderError
from app.provider.types import Delta, End, Event, Progress, SeenImage, Size, Started, Usage
from app.storage.database import Database
from app.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)

BEAT = 1.0
"""Seconds between two signs of life, which also store the text so far and see a wish to stop."""

PATIENCE = 60.0
"""Seconds that a turn waits for the one before it, when asked to."""

LOOK_AGAIN = 0.1
"""Seconds between two looks whether the conversation is free."""

KINDS: dict[Overflow, CutKind] = {"drop_oldest": "dropped", "summarise": "summarised"}

Begin = Callable[[Session], list[Said]]
"""The first transaction of a turn: stores its rows, returns what was said, the question last."""

Bells = dict[str, asyncio.Event]
"""Answer id → what wakes its maker in this process, so that a stop need not wait for the beat."""


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

    database: Database
    bells: Bells
    ids: Ids
    stage: Stage
    overflow: Overflow
    waits: bool
    template: str | None
    begin: Begin
    _said: list[Said] = field(default_factory=list)
    _beginning: Beginning = field(default_factory=Beginning)
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
            with suppress(StorageUnavailable):  # nobody is left to be told
                await self._end(Ending("stopped", self.text))
            raise
        except Exception as error:
            if not self._begun:
                raise
            await self._failed(error)
            raise TurnFailed(error, self.ids.conversation, self.ids.answer) from error
        finally:
            self.bells.pop(self.ids.answer, None)
            if keeper:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)

    @property
    def text(self) -> str:
        """The answer so far, without what turned out to be thinking."""
        return "".join(self._text)[self._retracted :]

    # ---------------------------------------------------------------- its beginning

    async def _begin(self) -> AsyncGenerator[Progress, None]:
        deadline = time.monotonic() + PATIENCE
        told = False
        while not self._begun:
            try:
                self._said, self._beginning = await self.database.write(self._open)
                self._begun = True
                self.begin = _spent  # it holds the pictures, which are stored now
            except ConversationBusy:
                if not self.waits or time.monotonic() > deadline:
                    raise
                if not told:
                    yield Progress("queued", 1)
                told = True
                await asyncio.sleep(LOOK_AGAIN)

    def _open(self, session: Session) -> tuple[list[Said], Beginning]:
        said, kind, beginning = self.begin(session), KINDS.get(self.overflow), Beginning()
        if kind and len(said) > 1:
            beginning = truncation.beginning(session, self.ids.conversation, kind, said)
        left_out, shown = said[: beginning.at], said[beginning.at :]
        shown = tree.pictured(session, self.ids.conversation, shown, self.stage.images)
        require_sight(self.stage, shown)  # nothing has been stored if it raises
        return [*left_out, *shown], beginning

    # ---------------------------------------------------------------- the answer

    async def _answer(self) -> AsyncGenerator[Event, None]:
        pool, model = self.stage.pool, self.stage.model
        shown = prompt(self.stage, self._said, self._beginning)
        async with aclosing(pool.measure(model, shown)) as measured:
            async for step in measured:
                if isinstance(step, Size):
                    whole = View(shown, step, self._beginning)
                else:
                    yield step
        view = await fitted(self.stage, self._said, self.overflow, whole)
        await self._take(view)
        async with aclosing(pool.stream(model, view.prompt)) as events:
            async for event in events:
                yield event
                if isinstance(event, End):
                    return
        raise EngineUnavailable("The answer broke off.", 1.0)

    async def _take(self, view: View) -> None:
        """Note what the view leaves out, for this answer and for the turns after it."""
        at, kind = view.beginning.at, KINDS.get(self.overflow)
        left_out = tuple(one.id for one in self._said[:at])
        told = {kind: left_out} if kind else {}
        self._context = Context(view.size.tokens, view.size.limit, **told)
        if kind and at > self._beginning.at:
            last, summary = left_out[-1], view.beginning.summary
            await self.database.write(truncation.cut, self.ids.conversation, kind, last, summary)

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
                await self._end(Ending("complete", self.text, reason, asdict(usage)))
                return TurnEnd(reason, usage, context=self.context)
        return event

    @property
    def seen(self) -> tuple[SeenImage, ...]:
        """The pictures of the prompt as the model saw them, once it has begun."""
        return self._started.images if self._started else ()

    @property
    def images(self) -> tuple[Attached, ...]:
        """The pictures of the question, once the turn has begun."""
        return self._said[-1].images if self._said else ()

    @property
    def context(self) -> Context:
        """What the model was shown; zeros before it was shown anything."""
        return self._context or Context(0, 0)

    # ---------------------------------------------------------------- while it runs

    async def _keep(self) -> None:
        """Show that the maker lives, store what there is, and see whether it is to stop."""
        bell = self.bells[self.ids.answer] = asyncio.Event()
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await bell.wait()
            bell.clear()
            try:
                stop = await self.database.write(turns.keep, self.ids, self.text)
            except StorageUnavailable as error:
                log.warning("an answer could not be saved so far: %s", error)
                continue
            self._gone = stop is None
            if stop is not False:
                self._stop.set()

    # ---------------------------------------------------------------- its end

    async def _stopped(self) -> End:
        if self._gone:
            raise ConversationNotFound(self.ids.conversation)
        await self._end(Ending("stopped", self.text, "cancelled"))
        begun = self._started or Started(self.context.prompt_tokens, 0)
        usage = Usage(begun.prompt_tokens, 0, begun.cached_tokens)
        return TurnEnd("cancelled", usage, context=self.context)

    async def _failed(self, error: Exception) -> None:
        known = isinstance(error, (AppError, ProviderError))
        told = str(error) if known else "The server made a mistake."
        with suppress(StorageUnavailable):  # what made the turn fail is told, and perhaps is this
            await self._end(Ending("failed", self.text, error=told))

    async def _end(self, ending: Ending) -> None:
        """Write the last word, unless it has been written; raises ConversationNotFound."""
        if self._ended:
            return
        self._ended = True
        told = asdict(self._context) if self._context else None
        ending = replace(ending, seen=self.seen)
        try:
            stored = await self.database.write(turns.end, self.ids, ending, told)
        except StorageUnavailable:
            self._ended = False  # perhaps it can be stored that it failed
            raise
        if not stored and ending.status == "complete":
            raise ConversationNotFound(self.ids.conversation)


def _spent(_: Session) -> list[Said]:
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
