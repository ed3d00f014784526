"""Provider events → server-sent events. Knows nothing of routes, wire models or models.

The order on the wire, each event with an id that counts from 0:

    message   {id, model}               always first
    queued    {ahead}                   ┐
    loading   {percent}                 │ any number, where known
    prefill   {done, total}             ┘
    delta     {text}                    any number
    done      {finish_reason, usage}    ┐ exactly one of these two, and nothing after it
    error     the problem object        ┘

A stream that only loads a model has no deltas, and its ``done`` describes the model.
``: keep-alive`` comments fill silences. The status is 200 only once the engine has accepted the
prompt, or has kept us waiting for STREAM_PATIENCE_SECONDS: an error before that is a normal HTTP
error, one after it an event with the same status and code.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.conversations.errors import cause_of
from app.errors import AppError
from app.provider.errors import EngineUnavailable, ProviderError
from app.provider.types import Delta, End, Event, Loaded, Progress, Started
from app.web.disconnect import unless_hangup
from app.web.errors import ClientGone
from app.web.problem_details import problem

log = logging.getLogger(__name__)

KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment tells proxies that we are alive."""

Fields = Mapping[str, Any]
Told = Event | Loaded


class Feed:
    """Reads a stream ahead of its client, so that nothing is lost when a wait times out."""

    def __init__(self, events: AsyncGenerator[Told, None]) -> None:
        self._queue: asyncio.Queue[Told | Exception] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read(events))

    async def _read(self, events: AsyncGenerator[Told, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._queue.put_nowait(event)
                    if isinstance(event, End | Loaded):
                        return
            self._queue.put_nowait(EngineUnavailable("The answer broke off.", 1.0))
        except Exception as error:  # the client is told of it where it is answered
            self._queue.put_nowait(error)

    async def batch(self, seconds: float) -> list[Told | Exception]:
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
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


def plain_done(end: End) -> Fields:
    """What the ``done`` event says where nothing is stored."""
    return {"finish_reason": end.reason, "usage": asdict(end.usage)}


class EventStream(Response):
    """The answer of a streaming route: ``head`` is what its ``message`` event says.

    ``done`` makes what its ``done`` event says, of the End or Loaded that came last.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        head: Fields,
        events: AsyncGenerator[Told, None],
        done: Callable[[Any], Fields] = plain_done,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._head = head
        self._events = events
        self._done = done
        self._started = False
        self._ids = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all; the client hanging up closes the stream in whatever phase it is."""
        try:
            await unless_hangup(receive, self._run(send, scope["state"]))
        except ClientGone:
            if not self._started:
                raise

    async def _run(self, send: Send, state: Mapping[str, Any]) -> None:
        async with aclosing(Feed(self._events)) as feed:
            batch = await _until_started(feed, state["settings"].stream_patience_seconds)
            await self._start(send)
            while not await self._send(send, batch, state["request_id"]):
                batch = await feed.batch(KEEP_ALIVE)

    async def _start(self, send: Send) -> None:
        self._started = True
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await _body(send, self._frame("message", self._head), more=True)

    async def _send(self, send: Send, batch: Sequence[Told | Exception], request_id: str) -> bool:
        """Write a batch at once, a comment if it is empty; True when it held the end."""
        told = [event for event in batch if not isinstance(event, Started)]
        named = [
            ("done", self._done(event))
            if isinstance(event, End | Loaded)
            else _named(event, request_id)
            for event in told
        ]
        text = "".join(self._frame(*event) for event in named) if batch else ": keep-alive\n\n"
        ended = bool(batch) and isinstance(batch[-1], (End, Loaded, Exception))
        if text:
            await _body(send, text, more=not ended)
        return ended

    def _frame(self, name: str, fields: Fields) -> str:
        data = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return f"event: {name}\nid: {next(self._ids)}\ndata: {data}\n\n"


async def _until_started(feed: Feed, patience: float) -> list[Told | Exception]:
    """What came until the engine accepted the prompt or patience ran out; raises its refusal."""
    seen: list[Told | Exception] = []
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


def _named(event: Progress | Delta | Exception, request_id: str) -> tuple[str, Fields]:
    """The event's name and data on the wire."""
    match event:
        case Delta(text=text):
            return "delta", {"text": text}
        case Progress():
            return event.phase, _progress(event)
        case Exception():
            if not isinstance(cause_of(event), (AppError, ProviderError)):
                log.error("a stream failed", exc_info=event)
            return "error", problem(event, request_id).model_dump(exclude_none=True)
    raise TypeError(f"{event!r} has no name on the wire")


def _progress(event: Progress) -> Fields:
    match event.phase:
        case "queued":
            return {"ahead": event.done}
        case "loading":
            return {"percent": event.done}
        case "prefill":
            return {"done": event.done, "total": event.total}
