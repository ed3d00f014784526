"""One connection to the model server, with the requests that are in its hands."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from app.provider.errors import EngineUnavailable, UnsupportedInput
from app.provider.model_server.connection import FrameConnection
from app.provider.model_server.protocol import (
    HELLO_SECONDS,
    LONGEST_ANSWER,
    LONGEST_REQUEST,
    Cancel,
    Hello,
    Notice,
    Outcome,
    Publication,
    Rejected,
    Report,
    Request,
    Welcome,
    answer_decoder,
)
from app.provider.runtime import frames
from app.provider.runtime.frames import ProtocolViolation

log = logging.getLogger(__name__)

SILENCE_SECONDS = 60.0
"""The server says something every second; one that is silent for so long is given up."""

_GONE = "The model server has ended and is being restarted."

Queue = asyncio.Queue[Outcome | EngineUnavailable]
News = Callable[[Publication | Notice], None]


class Rejection(Exception):
    """The server does not talk to this client; ``str()`` says why."""


class Link:
    """A connection; ``closed`` is done when it has ended, and all its requests have failed.

    ``news`` gets what is no answer to a request, ``ended`` is called before requests fail.
    """

    def __init__(self, news: News, ended: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._news = news
        self._ended = ended
        self._jobs: dict[int, Queue] = {}
        self._first: asyncio.Future[Welcome | Rejected | None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._connection = FrameConnection(LONGEST_ANSWER, self._received, self._lost)
        self._received_at = loop.time()

    @classmethod
    async def open(
        cls, sock: socket.socket, hello: Hello, news: News, ended: Callable[[], None]
    ) -> Link:
        """Introduce this client; takes the socket. Raises ConnectionError, Rejection."""
        link = cls(news, ended)
        await asyncio.get_running_loop().create_connection(lambda: link._connection, sock=sock)
        try:
            link._connection.send_message(hello)
            async with asyncio.timeout(HELLO_SECONDS):
                first = await asyncio.shield(link._first)
        except BaseException as error:
            link.abort()
            if isinstance(error, TimeoutError):
                raise ConnectionAbortedError("the model server says nothing") from error
            raise
        if isinstance(first, Welcome):
            return link
        link.abort()
        if first is None:
            raise ConnectionResetError
        raise Rejection(first.reason)

    # ---------------------------------------------------------------- requests

    def send(self, request: Request) -> Queue:
        """Send a request; the queue gets its outcomes, or why there are none any more.

        Raises UnsupportedInput for one that is longer than the server reads: sent, it would end
        the connection, and with it the requests of others.
        """
        frame = frames.encode(request)
        if len(frame) - frames.LENGTH.size > LONGEST_REQUEST:
            limit = LONGEST_REQUEST // 2**20
            raise UnsupportedInput(
                f"The request is longer than the model server reads: {limit} MB."
            )
        queue: Queue = asyncio.Queue()
        if self.closed.done():
            queue.put_nowait(EngineUnavailable(_GONE, 1.0))
        else:
            self._jobs[request.job] = queue
            self._connection.send(frame)
        return queue

    def forget(self, job: int, *, finished: bool) -> None:
        """A request is over; one that has not ``finished`` is cancelled."""
        if self._jobs.pop(job, None) is not None and not finished:
            self._connection.send_message(Cancel(job))

    def notify(self, notice: Notice) -> None:
        """Say something to the other clients."""
        self._connection.send_message(notice)

    # ---------------------------------------------------------------- receiving

    def _received(self, body: bytes) -> None:
        self._received_at = asyncio.get_running_loop().time()
        message = answer_decoder.decode(body)
        if isinstance(message, Report):
            for job, outcome in message.outcomes:
                if queue := self._jobs.get(job):
                    queue.put_nowait(outcome)
        elif isinstance(message, Welcome | Rejected):
            if self._first.done():
                raise ProtocolViolation("two welcomes")
            self._first.set_result(message)
        else:
            self._news(message)

    def silent(self) -> bool:
        """Whether nothing has come for too long."""
        return asyncio.get_running_loop().time() - self._received_at > SILENCE_SECONDS

    def _lost(self) -> None:
        if not self._first.done():
            self._first.set_result(None)
        elif isinstance(self._first.result(), Welcome):
            self._ended()
        for queue in self._jobs.values():
            queue.put_nowait(EngineUnavailable(_GONE, 1.0))
        self._jobs.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    async def close(self) -> None:
        """End it now: that cancels all its requests."""
        self.abort()
        await self.closed

    def abort(self) -> None:
        """End it soon."""
        self._connection.abort()
