"""The process of an engine that waits for others: ``python -m …runtime.async_worker FD``.

It speaks the same messages as ``worker``, with one event loop in place of threads and steps: each
job is a task, which ends when it is cancelled. It is for engines that pass their jobs on to
another server and compute nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Protocol, cast

from app.provider.engine import EngineInfo, EngineSpec
from app.provider.errors import ContextOverflow, ProviderError
from app.provider.generation.queue_places import QueuePlaces
from app.provider.runtime import messages
from app.provider.runtime.async_turns import Turns
from app.provider.runtime.deferred_work import failed_request
from app.provider.runtime.engine_main import run_engine_process
from app.provider.runtime.failures import describe
from app.provider.runtime.load_errors import load_failure
from app.provider.runtime.outbox import Outbox
from app.provider.runtime.supported_jobs import bounded, require_supported
from app.provider.runtime.tasks import cancel_tasks
from app.provider.types import Event, Job, Loaded, Progress, Prompt, Size, Tokens

log = logging.getLogger(__name__)

ALIVE_SECONDS = 0.5
"""Between two signs of life while there are jobs: how long a job may wait is the engine's own."""

FLUSH_SECONDS = 1 / 60
"""How long a piece of text waits for others to be sent with."""


class AsyncEngine(Protocol):
    """An engine of one event loop. Cancelling or closing what it returned ends that job."""

    info: EngineInfo

    def run(self, task: Job) -> AsyncGenerator[Event, None]:
        """Do a job: ``Progress* Started (Progress | AnyDelta | Encoded)* End``.

        Raises what ``ModelHost.stream`` raises.
        """

    async def count(self, prompt: Prompt) -> Size:
        """Count the tokens of a prompt."""

    async def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """Tokenise a prompt; raises UnsupportedInput where that cannot be shown."""

    async def wait_for_failure(self) -> str:
        """Wait until the engine can do no job any more; returns why. May wait for ever."""

    async def close(self) -> None:
        """End what the engine has started, such as a process of its own."""


AsyncEngineFactory = Callable[[EngineSpec, Callable[[int], None]], Awaitable[AsyncEngine]]
"""``build`` of such an engine: reports loading progress in percent.

Raises ModelNotLoadable, and EngineUnavailable where trying again later may help. It is cancelled
when the host ends.
"""


class AsyncConnection:
    """The socket to the host."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._outbox = Outbox()
        self._flush: asyncio.TimerHandle | None = None

    async def receive(self) -> messages.ToEngine | None:
        """The next message; None when the host has gone."""
        try:
            return await messages.read_request(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def send(self, message: messages.FromEngine) -> None:
        """Send one message without waiting; what the host does not read any more is lost."""
        if not self._writer.is_closing():
            self._writer.write(messages.encode(message))

    def report(self, outcomes: Iterable[tuple[int, messages.Outcome]]) -> None:
        """Send the outcomes of some jobs."""
        self.send(messages.report(outcomes))

    async def add(self, job: int, outcome: messages.Outcome) -> None:
        """Send an outcome: text a moment later, joined with what comes until then."""
        self._outbox.add([(job, outcome)])
        if self._outbox.due():
            self._send_pending()
        elif self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(FLUSH_SECONDS, self._send_pending)
        await self._writer.drain()

    def forget(self, job: int) -> None:
        """A job was cancelled."""
        self._outbox.forget(job)

    def _send_pending(self) -> None:
        if self._flush:
            self._flush.cancel()
            self._flush = None
        self.report(self._outbox.take())


class AsyncJobs:
    """Runs the jobs of one engine, each in a task of its own."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection) -> None:
        self._engine = engine
        self._connection = connection
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._turns = Turns(engine.info.slots, self._queue_moved)
        self._places = QueuePlaces()

    def take(self, message: messages.ToEngine) -> None:
        """Begin, answer or cancel what the message names."""
        match message:
            case messages.Submit(job=job, task=task):
                self._start(job, self._run(job, task))
            case messages.Count(job=job, prompt=prompt):
                self._start(job, self._answer(job, self._count(prompt)))
            case messages.Tokenize(job=job, prompt=prompt, special=special):
                self._start(job, self._answer(job, self._tokenize(prompt, special=special)))
            case messages.Ping(job=job):
                self._connection.report([(job, Loaded())])
            case messages.Cancel(job=job) if running := self._tasks.get(job):
                running.cancel()
                self._connection.forget(job)

    async def show_life(self) -> None:
        """Tell the host for ever that jobs are being waited for, and which have moved up."""
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            if self._tasks:
                self._connection.report(self._moved_up())

    async def close(self) -> None:
        """Cancel all jobs and see them through."""
        await cancel_tasks(*self._tasks.values())

    def _start(self, job: int, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[job] = task
        task.add_done_callback(lambda _: self._tasks.pop(job, None))

    async def _run(self, job: int, task: Job) -> None:
        try:
            require_supported(self._engine.info, task)
            async with self._turns.turn(job), aclosing(self._engine.run(task)) as events:
                async for event in events:
                    await self._connection.add(job, event)
        except Exception as error:
            await self._connection.add(job, failed_request(error))

    async def _answer(self, job: int, asked: Awaitable[Size | Tokens]) -> None:
        try:
            self._connection.report([(job, await asked)])
        except Exception as error:  # or what the server said cannot be sent
            self._connection.report([(job, failed_request(error))])

    async def _count(self, prompt: Prompt) -> Size:
        require_supported(self._engine.info, prompt)
        try:
            return await self._engine.count(prompt)
        except ContextOverflow as error:
            return Size(error.needed, error.limit)

    async def _tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        return bounded(await self._engine.tokenize(prompt, special=special))

    def _queue_moved(self) -> None:
        if moved := self._moved_up():
            self._connection.report(moved)

    def _moved_up(self) -> list[tuple[int, Progress]]:
        """The places that have changed; none until the next report is due."""
        return self._places.changed(self._turns.waiting) if self._places.due() else []


async def _serve(connection: AsyncConnection) -> None:
    """Load the engine that the first message names, then answer until the host ends."""
    first = await connection.receive()
    if not isinstance(first, messages.Load):
        raise TypeError("The first message is no Load.")
    gone = asyncio.ensure_future(connection.receive())  # nothing is sent to an engine that loads
    building = asyncio.ensure_future(_build(first.spec, connection))
    await asyncio.wait((gone, building), return_when=asyncio.FIRST_COMPLETED)
    if not building.done():
        await cancel_tasks(building)
        return
    if engine := building.result():
        connection.send(messages.Ready(engine.info))
        try:
            await _answer_all(engine, connection, gone)
        finally:
            await engine.close()


async def _build(spec: EngineSpec, connection: AsyncConnection) -> AsyncEngine | None:
    """The engine; None where it cannot be loaded: the reason has been sent to the host."""
    build = importlib.import_module(f"{spec.package}.engine").build
    try:
        return await cast("AsyncEngineFactory", build)(
            spec, lambda percent: connection.send(messages.Loading(percent))
        )
    except Exception as error:
        surprise = error.__cause__ or not isinstance(error, ProviderError)
        log.error("the model cannot be loaded: %s", error, exc_info=bool(surprise))
        connection.send(messages.Refused(describe(load_failure(error, spec.path))))
        return None


async def _answer_all(
    engine: AsyncEngine,
    connection: AsyncConnection,
    first: asyncio.Future[messages.ToEngine | None],
) -> None:
    """Do the jobs that come until the host ends; raises RuntimeError when the engine does."""
    jobs = AsyncJobs(engine, connection)

    async def take_all() -> None:
        message = await first
        while message is not None:
            jobs.take(message)
            message = await connection.receive()

    taking = asyncio.create_task(take_all())
    alive = asyncio.create_task(jobs.show_life())
    failure = asyncio.create_task(engine.wait_for_failure())
    await asyncio.wait((taking, failure, alive), return_when=asyncio.FIRST_COMPLETED)
    taking.cancel()
    alive.cancel()
    failure.cancel()
    await jobs.close()
    if not failure.cancelled() and failure.done():
        raise RuntimeError(failure.result())


def serve(sock: socket.socket) -> None:
    """Serve the host at the other end of the socket."""

    async def run() -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        await _serve(AsyncConnection(reader, writer))
        with suppress(ConnectionError):
            await writer.drain()

    asyncio.run(run())


if __name__ == "__main__":
    run_engine_process(serve)
