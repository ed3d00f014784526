"""What an API process knows of the model server: a connection that is made again when it ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from msgspec.msgpack import Decoder

from app.provider.errors import EngineUnavailable
from app.provider.model_server.counters import EXCHANGE, Counters, Totals
from app.provider.model_server.link import Link, Rejection
from app.provider.model_server.protocol import (
    ERRORS,
    PROTOCOL,
    Call,
    Hello,
    Method,
    Notice,
    Outcome,
    Publication,
    Request,
    Result,
    Topic,
    packed,
)
from app.provider.runtime.backoff import BackOff
from app.provider.runtime.failures import ErrorTable, Failure, Kinds
from app.provider.runtime.tasks import cancel_tasks

log = logging.getLogger(__name__)

A = TypeVar("A", bound="tuple[Any, ...]")
R = TypeVar("R")

Dial = Callable[[], Awaitable[socket.socket]]
"""Gives a connected socket, starting a model server if there is none; may raise OSError."""

_WATCH_SECONDS = 5.0
_RETRY_SECONDS = 5.0
"""When a request that found no server is worth another try."""
_SHORT_SECONDS = 0.5
"""A server that ends so soon after it was reached is reached again no sooner."""
_TRIES, _PAUSE_SECONDS = 100, 0.05


class ModelServerClient:
    """Keeps one connection to the model server. Belongs to one event loop.

    ``start`` begins; until the connection is there, requests wait for it or, where it cannot be
    made, fail with EngineUnavailable. ``errors`` are those of further methods.
    """

    def __init__(
        self, dial: Dial, version: str = "", *, owner: bool = False, errors: Kinds | None = None
    ) -> None:
        self._dial = dial
        self._hello = Hello(PROTOCOL, version, secrets.token_hex(8), owner)
        self._errors = ErrorTable({**ERRORS, **(errors or {})})
        self._numbers = itertools.count()
        self._attempt: asyncio.Future[Link | EngineUnavailable] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._back_off = BackOff()
        self._problem: str | None = None
        self._closing = False
        self._subscribers: dict[str, tuple[Any, Callable[[Any], None]]] = {}
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._ended: Mapping[str, float] = {}
        self._on_loss: list[Callable[[], None]] = []

    # ---------------------------------------------------------------- the connection

    def start(self) -> None:
        """Begin to connect, and to connect again whenever the connection ends."""
        if self._keeping is None:
            self._begin_attempt()
            self._keeping = asyncio.create_task(self._keep_connected())

    async def connected(self) -> Link:
        """Wait for the connection; raises EngineUnavailable where it cannot be made."""
        self.start()
        assert self._attempt  # noqa: S101 — made by start
        if not self._attempt.done() and self._problem and self._back_off.left > 1.0:
            raise EngineUnavailable(self._problem, self._back_off.left)
        found = await asyncio.shield(self._attempt)
        if isinstance(found, EngineUnavailable):
            raise found
        return found

    def problem(self) -> str | None:
        """Why the model server cannot be asked; None while it can, or has not been looked for."""
        return self._problem

    async def close(self) -> None:
        """Leave the server; it goes on with the requests of others."""
        if self._keeping and self._attempt:
            await cancel_tasks(self._keeping)
            if not self._attempt.done():
                self._attempt.set_result(EngineUnavailable("The server is being stopped.", 1.0))

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            found = await self._open()
            assert self._attempt  # noqa: S101 — made by start
            self._attempt.set_result(found)
            if isinstance(found, Link):
                await self._watch(found)
                self._back_off = BackOff()  # it can be started
                delay = 0.0 if loop.time() - began > _SHORT_SECONDS else _SHORT_SECONDS
            else:
                delay = self._back_off.failed()
            self._begin_attempt()
            await asyncio.sleep(delay)

    def _begin_attempt(self) -> None:
        """Let requests from now on wait for the next attempt to connect."""
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.get_running_loop().create_future()

    async def _open(self) -> Link | EngineUnavailable:
        """Connect once; a problem is noted until it works again."""
        try:
            link = await self._link()
        except (OSError, Rejection) as error:
            self._problem = f"The model server cannot be asked: {error}"
        except Exception:  # a bug here must not leave requests waiting for ever
            log.exception("the connection to the model server cannot be made")
            self._problem = "The model server cannot be asked."
        else:
            self._problem = None
            return link
        log.error("%s", self._problem)
        return EngineUnavailable(self._problem, _RETRY_SECONDS)

    async def _link(self) -> Link:
        """Connect; a server that was just about to end is replaced by another one."""
        for _ in range(_TRIES):
            try:
                return await Link.open(await self._dial(), self._hello, self._take, self._lost)
            except ConnectionResetError:
                await asyncio.sleep(_PAUSE_SECONDS)
        raise ConnectionResetError("it ends again and again")

    async def _watch(self, link: Link) -> None:
        """Wait for the end of a connection; ends one whose server has fallen silent."""
        try:
            while not link.closed.done():
                await asyncio.wait([link.closed], timeout=_WATCH_SECONDS)
                if link.silent():
                    link.abort()
        except asyncio.CancelledError:
            self._closing = True
            await link.close()
            raise

    def _lost(self) -> None:
        """The connection has ended; nobody knows yet that its requests have failed."""
        if self._closing:
            return
        self._problem = "The model server has ended and is being restarted."
        log.error("the model server has ended")
        self._begin_attempt()
        for forget in self._on_loss:
            forget()

    # ---------------------------------------------------------------- requests

    async def request(
        self, make: Callable[[int], Request], *last: type[Any]
    ) -> AsyncGenerator[Any, None]:
        """Send what ``make`` makes with a number, and yield the outcomes up to one of ``last``.

        Closing the generator cancels the request in every phase. Raises EngineUnavailable and
        what the server reports.
        """
        link = await self.connected()
        request = make(next(self._numbers))
        queue, finished = link.send(request), False
        try:
            while not finished:
                outcome = await queue.get()
                finished = isinstance(outcome, (*last, Failure, EngineUnavailable))
                self._raise_failure(outcome)
                yield outcome
        finally:
            link.forget(request.job, finished=finished)

    def _raise_failure(self, outcome: Outcome | EngineUnavailable) -> None:
        if isinstance(outcome, EngineUnavailable):
            raise outcome
        if isinstance(outcome, Failure):
            raise self._errors.error_of(outcome)

    async def call(self, method: Method[A, R], *arguments: Any) -> R:
        """Call a method of the server; otherwise as ``request``."""
        content = packed(arguments)
        asked = self.request(lambda job: Call(job, method.name, content), Result)
        async with aclosing(asked) as outcomes:
            async for outcome in outcomes:
                return msgspec.msgpack.decode(outcome.content, type=method.result)
        raise EngineUnavailable("The model server gave no answer.", 1.0)

    async def exchange(self, counters: Mapping[str, float], gauges: Mapping[str, float]) -> Totals:
        """Report the figures of this process, and learn those of all; raises EngineUnavailable."""
        totals = await self.call(EXCHANGE, Counters(dict(counters), dict(gauges)), self._ended)
        self._ended = totals.ended
        return totals

    # ---------------------------------------------------------------- news

    def subscribe(self, topic: Topic[R], take: Callable[[R], None]) -> None:
        """Pass the news of a topic on."""
        self._subscribers[topic.name] = Decoder(topic.content), take

    def listen(self, topic: str, take: Callable[[str], None]) -> None:
        """Pass on what other clients say under that topic."""
        self._listeners[topic] = take

    def on_loss(self, forget: Callable[[], None]) -> None:
        """Call ``forget`` whenever the connection has ended."""
        self._on_loss.append(forget)

    def notify(self, topic: str, text: str) -> None:
        """Say something to all other clients, at most once; while not connected, to nobody."""
        found = self._attempt.result() if self._attempt and self._attempt.done() else None
        if isinstance(found, Link):
            found.notify(Notice(topic, text))

    def _take(self, news: Publication | Notice) -> None:
        if isinstance(news, Notice):
            if listener := self._listeners.get(news.topic):
                listener(news.text)
        elif news.topic in self._subscribers:
            decoder, take = self._subscribers[news.topic]
            take(decoder.decode(news.content))
