"""One client of the model server: its requests, and what becomes of them when it goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol

from app.provider.errors import EngineBusy, EngineUnavailable, ProviderError
from app.provider.model_server.connection import FrameConnection
from app.provider.model_server.outgoing import OutgoingEvents
from app.provider.model_server.protocol import (
    HELLO_SECONDS,
    LONGEST_REQUEST,
    PROTOCOL,
    Call,
    Cancel,
    FromClient,
    Hello,
    Load,
    Measure,
    Notice,
    Outcome,
    Publication,
    Rejected,
    Request,
    Result,
    Submit,
    Tokenize,
    Welcome,
    hello_decoder,
    packed,
    request_decoder,
)
from app.provider.pool.model_host import ModelHost
from app.provider.runtime.failures import ErrorTable, Failure
from app.provider.runtime.frames import ProtocolViolation
from app.provider.types import Encode, End, Loaded, Size, Tokens

log = logging.getLogger(__name__)

MOST_JOBS = 4096
"""Requests of one client at a time; models bound theirs much earlier."""

_LAST = (End, Size, Tokens, Loaded, Result)
"""Outcomes after which there are no others of their job."""


class Surroundings(Protocol):
    """What a session needs of the server that it belongs to."""

    host: ModelHost
    errors: ErrorTable
    version: str

    async def call(self, session: ClientSession, call: Call) -> object:
        """Call a method; raises what it raises."""

    def joined(self, session: ClientSession) -> None:
        """The client has said who it is."""

    def left(self, session: ClientSession) -> None:
        """The client has gone."""

    def changed(self, request: Request, outcome: Outcome) -> None:
        """Publish what has changed, before this last outcome of a request is sent."""

    def forward(self, sender: ClientSession, notice: Notice) -> None:
        """Pass a notice to the other clients."""


class ClientSession:
    """Takes the requests of one client and reports their outcomes; a job is a task.

    When the connection ends, in whatever way, all its jobs are cancelled.
    """

    def __init__(self, server: Surroundings) -> None:
        self._server = server
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self.hello: Hello | None = None
        self._outgoing = OutgoingEvents(self._send, self._give_up)
        self.connection = FrameConnection(
            LONGEST_REQUEST, self._received, self._lost, self._outgoing.set_writable
        )
        loop = asyncio.get_running_loop()
        self._silent = loop.call_later(HELLO_SECONDS, self.connection.abort)

    # ---------------------------------------------------------------- sending

    def _send(self, frame: bytes) -> None:
        self.connection.send(frame)

    def publish(self, publication: Publication) -> None:
        """Send the news of a topic, before the outcomes that wait."""
        self._outgoing.publish(publication)

    def notify(self, notice: Notice) -> None:
        """Pass on what another client has said."""
        self._outgoing.notify(notice)

    def _give_up(self) -> None:
        log.error("a client reads too slowly, and is cut off with %d requests", len(self._jobs))
        self.connection.abort()

    def _lost(self) -> None:
        self._silent.cancel()
        for task in self._jobs.values():
            task.cancel()
        if self.hello:
            self._server.left(self)

    # ---------------------------------------------------------------- receiving

    def _received(self, body: bytes) -> None:
        if self.hello is None:
            self._greet(hello_decoder.decode(body))
        else:
            self._take(request_decoder.decode(body))

    def _greet(self, hello: Hello) -> None:
        self._silent.cancel()
        if hello.protocol != PROTOCOL:
            reason = (
                f"The model server speaks protocol {PROTOCOL} (version {self._server.version}) "
                f"and not {hello.protocol} (version {hello.version[:40]}): use one version."
            )
            self.connection.send_message(Rejected(reason))
            self.connection.close()
            return
        self.hello = hello
        self.connection.send_message(Welcome(PROTOCOL, self._server.version))
        self._server.joined(self)

    def _take(self, message: FromClient) -> None:
        if isinstance(message, Cancel):
            if task := self._jobs.get(message.job):
                task.cancel()
                self._outgoing.forget(message.job)
        elif isinstance(message, Notice):
            self._server.forward(self, message)
        elif message.job in self._jobs:
            raise ProtocolViolation(f"two requests with the number {message.job}")
        elif len(self._jobs) >= MOST_JOBS:
            busy = EngineBusy(f"{MOST_JOBS} requests of one process are in progress.", 1.0)
            self._outgoing.add(message.job, self._server.errors.describe(busy))
        else:
            self._begin(message)

    def _begin(self, request: Request) -> None:
        work = self._call(request) if isinstance(request, Call) else self._stream(request)
        task = self._jobs[request.job] = asyncio.create_task(self._run(request, work))
        task.add_done_callback(partial(self._ended, request.job))

    def _ended(self, job: int, task: asyncio.Task[None]) -> None:
        self._jobs.pop(job, None)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._outgoing.add(job, self._failure(error))  # a bug must not leave clients waiting

    # ---------------------------------------------------------------- one job

    async def _run(self, request: Request, work: AsyncGenerator[Outcome, None]) -> None:
        """Report the outcomes of a job; whatever happens, the last one ends it."""
        job = request.job
        outcome: Outcome | None = None
        try:
            async with aclosing(work) as outcomes:
                async for outcome in outcomes:
                    if isinstance(outcome, _LAST):
                        break
                    self._outgoing.add(job, outcome)
        except Exception as error:
            outcome = self._failure(error)
        if not isinstance(outcome, (*_LAST, Failure)):
            ended = EngineUnavailable("The model server ended the request.", 1.0)
            outcome = self._server.errors.describe(ended)
        self._server.changed(request, outcome)
        self._outgoing.add(job, outcome)

    def _failure(self, error: Exception) -> Failure:
        if type(error) not in self._server.errors.kinds:
            log.error("a request failed", exc_info=error)
            error = ProviderError("The model server made a mistake.")
        return self._server.errors.describe(error)

    async def _call(self, call: Call) -> AsyncGenerator[Outcome, None]:
        yield Result(packed(await self._server.call(self, call)))

    def _stream(self, request: Submit | Measure | Tokenize | Load) -> AsyncGenerator[Any, None]:
        host, model = self._server.host, request.model
        match request:
            case Submit(task=task):
                if isinstance(task, Encode):
                    return host.encode(model, task)
                return host.stream(model, task)
            case Measure(prompt=prompt):
                return host.measure(model, prompt)
            case Tokenize(prompt=prompt, special=special):
                return host.tokenize(model, prompt, special=special)
            case Load(ttl=ttl):
                return host.load(model, ttl)


def session_factory(server: Surroundings) -> Callable[[], FrameConnection]:
    """Makes a session for each connection that is accepted."""
    return lambda: ClientSession(server).connection
