"""Server-sent events: how a stream of provider events is sent, whatever a dialect makes of them.

An ``Encoder`` turns events into text. This module reads ahead, waits for the engine to accept
the prompt, sends what is ready at once, fills silences with ``: keep-alive`` comments and stops
the stream when the client disconnects.

The status is 200 only once the engine has accepted the prompt, or has kept us waiting for
STREAM_PATIENCE_SECONDS. An error before that is a normal HTTP error; one after it is an event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.chat.choices import Choice
from app.conversations.errors import cause_of
from app.conversations.read_position import Reset
from app.errors import AppError
from app.idempotency.outcome import discard_outcome
from app.provider.errors import EngineUnavailable, ProviderError
from app.provider.runtime.tasks import cancel_tasks
from app.provider.types import AnyDelta, Encoded, End, Event, Loaded, Progress, Started
from app.web.disconnect import unless_disconnected
from app.web.errors import ClientGone

log = logging.getLogger(__name__)

KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment tells proxies that we are alive."""

StreamEvent = Event | Loaded | Choice | Reset
Shown = Progress | Started | AnyDelta | Encoded | End | Loaded | Choice | Reset
"""What a dialect may show of a stream."""


class Encoder(Protocol):
    """What one dialect makes of a stream; each method returns ready frames, or nothing.

    An encoder serves one stream, so it may keep state, such as the number of the next event.
    """

    def start(self) -> str:
        """What comes first, before any event; the engine may not have accepted the prompt yet."""

    def event(self, event: Shown) -> str:
        """What clients see of ``event``; End and Loaded are the last of a stream."""

    def error(self, error: Exception, request_id: str) -> str:
        """How a stream ends that has failed after it began."""


def frame(data: str, *, event: str | None = None, event_id: int | str | None = None) -> str:
    """One event of one line of data, as the standard of server-sent events writes it."""
    named = "" if event is None else f"event: {event}\n"
    numbered = "" if event_id is None else f"id: {event_id}\n"
    return f"{named}{numbered}data: {data}\n\n"


class Source(Protocol):
    """Where the events of a stream come from."""

    async def batch(self, seconds: float) -> Sequence[StreamEvent | Exception]:
        """Everything that is ready; waits so long for the first, then returns nothing."""

    async def aclose(self) -> None:
        """Stop reading."""


class Feed:
    """Reads a stream ahead of its client, so that nothing is lost when a wait times out."""

    def __init__(self, events: AsyncGenerator[StreamEvent, None]) -> None:
        self._queue: asyncio.Queue[StreamEvent | Exception] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read(events))

    async def _read(self, events: AsyncGenerator[StreamEvent, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._queue.put_nowait(event)
                    if isinstance(event, End | Loaded):
                        return
            self._queue.put_nowait(EngineUnavailable("The answer broke off.", 1.0))
        except Exception as error:  # whoever reads the batches reports it
            self._queue.put_nowait(error)

    async def batch(self, seconds: float) -> list[StreamEvent | Exception]:
        """Everything that is ready; waits so long for the first, then returns nothing."""
        try:
            async with asyncio.timeout(seconds):
                ready = [await self._queue.get()]
        except TimeoutError:
            return []
        while not self._queue.empty():
            ready.append(self._queue.get_nowait())
        return ready

    async def aclose(self) -> None:
        """Stop reading; returns when the stream has been closed."""
        await cancel_tasks(self._reader)


class EventStream(Response):
    """The answer of a streaming route: ``events`` as ``encoder`` writes them.

    ``at_once``: the status is 200 whatever comes, because the engine has accepted the prompt.
    """

    media_type = "text/event-stream"
    keep_alive = ": keep-alive\n\n"
    """What is sent in silences: a comment, which tells proxies that we are alive."""

    def __init__(
        self,
        encoder: Encoder,
        events: AsyncGenerator[StreamEvent, None] | Source,
        *,
        at_once: bool = False,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._encoder = encoder
        self._events = events
        self._at_once = at_once
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all; a client that disconnects closes the stream in whatever phase it is."""
        try:
            await unless_disconnected(receive, self._run(send, scope["state"]))
        except ClientGone:
            if not self._started:
                raise

    async def _run(self, send: Send, state: Mapping[str, Any]) -> None:
        async with aclosing(self._source()) as feed:
            patience = 0.0 if self._at_once else state["settings"].stream_patience_seconds
            batch = await _until_started(feed, patience)
            await self._start(send)
            if self._at_once:
                batch = await feed.batch(KEEP_ALIVE)
            while not await self._send(send, batch, state["request_id"]):
                batch = await feed.batch(KEEP_ALIVE)

    def _source(self) -> Source:
        events = self._events
        return Feed(events) if isinstance(events, AsyncGenerator) else events

    async def _start(self, send: Send) -> None:
        self._started = True
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await _body(send, self._encoder.start(), more=True)

    async def _send(
        self, send: Send, batch: Sequence[StreamEvent | Exception], request_id: str
    ) -> bool:
        """Write a batch at once, a comment if it is empty; True when it held the end."""
        text = "".join(self._encoded(event, request_id) for event in batch)
        text = text if batch else self.keep_alive
        ended = bool(batch) and isinstance(batch[-1], (End, Loaded, Exception))
        if text or ended:
            await _body(send, text, more=not ended)
        return ended

    def _encoded(self, event: StreamEvent | Exception, request_id: str) -> str:
        if not isinstance(event, Exception):
            return self._encoder.event(event)
        discard_outcome()
        if not isinstance(cause_of(event), (AppError, ProviderError)):
            log.error("a stream failed", exc_info=event)
        return self._encoder.error(event, request_id)


async def _until_started(feed: Source, patience: float) -> Sequence[StreamEvent | Exception]:
    """What came until the engine accepted the prompt or patience ran out; raises its refusal."""
    seen: list[StreamEvent | Exception] = []
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        seen += await feed.batch(left)
        if any(isinstance(event, Started | End | Loaded) for event in seen):
            break
        if seen and isinstance(seen[-1], Exception):
            raise seen[-1]
    return seen


async def _body(send: Send, text: str, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})
