"""The engine process: ``python -m app.provider.runtime.worker FD``, started by ``EngineHost``.

It has two threads. Intake reads messages and prepares prompts (template, tokeniser). Decode owns
the engine and repeats: admit jobs, step, report. Nothing here knows JSON, SQL or HTTP. When the
host ends, in whatever way, the socket closes and this process ends as well.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from app.provider.engine import Deferred, Engine, load, tokenizing, unwanted_libraries
from app.provider.errors import ContextOverflow, ProviderError
from app.provider.generation.queue_places import QueuePlaces
from app.provider.runtime import messages
from app.provider.runtime.deferred_work import DeferredWork, attempt
from app.provider.runtime.engine_main import run_engine_process
from app.provider.runtime.failures import describe
from app.provider.runtime.load_errors import load_failure
from app.provider.runtime.outbox import Outbox
from app.provider.runtime.pulse import Pulse
from app.provider.runtime.supported_jobs import bounded, require_supported
from app.provider.types import End, Job, Loaded, Prompt, Size, Tokens

log = logging.getLogger(__name__)


class Connection:
    """The socket to the host. Both threads may send."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def send(self, message: messages.FromEngine) -> None:
        """Send one message."""
        frame = messages.encode(message)
        with self._lock:
            self._sock.sendall(frame)

    def report(self, outcomes: Iterable[tuple[int, messages.Outcome]]) -> None:
        """Send the outcomes of some jobs."""
        self.send(messages.report(outcomes))

    def receive(self) -> messages.ToEngine:
        """Wait for the next message; ends the process when the host has gone."""
        try:
            return messages.receive(self._sock)
        except (EOFError, OSError):
            os._exit(0)  # the decode thread may be inside a library call that never returns


@dataclass(slots=True)
class WaitingJob:
    """A prepared job that waits for a slot."""

    job: int
    prepared: Any


Work = WaitingJob | messages.Cancel | messages.Threads
"""What the intake thread passes to the decode thread."""


class IntakeLoop:
    """Turns messages into work for the decode thread."""

    def __init__(self, engine: Engine, connection: Connection, work: SimpleQueue[Work]) -> None:
        self._engine = engine
        self._connection = connection
        self._work = work
        self._deferred = DeferredWork(self._finished)

    def run(self) -> None:
        """Read messages for ever; ends the process after an unexpected error."""
        try:
            self._run()
        except BaseException:  # without this the decode thread would wait for ever
            log.critical("the engine cannot take requests any more", exc_info=True)
            os._exit(1)

    def _run(self) -> None:
        while True:  # nothing here keeps a message, which may be large, until the next one comes
            self._take(self._connection.receive())

    def _take(self, message: messages.ToEngine) -> None:
        if isinstance(message, messages.Submit):
            self._prepare(message.job, message.task)
        elif isinstance(message, messages.Count):
            self._connection.report([(message.job, self._count(message.prompt))])
        elif isinstance(message, messages.Tokenize):
            self._connection.report([(message.job, self._tokenize(message))])
        elif isinstance(message, messages.Ping):
            self._connection.report([(message.job, Loaded())])
        elif isinstance(message, messages.Cancel) and self._deferred.cancel(message.job):
            return
        elif not isinstance(message, messages.Load):
            self._work.put(message)

    def _prepare(self, job: int, task: Job) -> None:
        prepared = self._prepared(task)
        if isinstance(prepared, Deferred):
            self._deferred.add(job, prepared)
        else:
            self._finished(job, prepared)

    def _finished(self, job: int, prepared: Any) -> None:
        """Pass a prepared task on, or report why it is none."""
        if isinstance(prepared, ProviderError):
            self._connection.report([(job, prepared)])
        else:
            self._work.put(WaitingJob(job, prepared))

    def _count(self, prompt: Prompt) -> Size | ProviderError:
        limit = prompt.context_of(self._engine.info.context_length)
        prepared = self._prepared(prompt)
        if isinstance(prepared, ContextOverflow):
            return Size(prepared.needed, limit)
        return (
            prepared if isinstance(prepared, ProviderError) else Size(prepared.prompt_tokens, limit)
        )

    def _tokenize(self, message: messages.Tokenize) -> Tokens | ProviderError:
        prompt, special = message.prompt, message.special
        done: Tokens | ProviderError = self._done(
            prompt, lambda: bounded(tokenizing(self._engine).tokenize(prompt, special=special))
        )
        return done

    def _prepared(self, task: Job) -> Any:
        """Prepare a task, or return the error."""
        return self._done(task, lambda: self._engine.prepare(task))

    def _done(self, task: Job, work: Callable[[], Any]) -> Any:
        """Do something with a task, or return the error; a failure affects only this job."""

        def checked() -> Any:
            require_supported(self._engine.info, task)
            return work()

        return attempt(checked)


class DecodeLoop:
    """Owns the engine: admits waiting jobs in order of arrival and steps while any is active."""

    def __init__(self, engine: Engine, connection: Connection, work: SimpleQueue[Work]) -> None:
        self._engine = engine
        self._connection = connection
        self._work = work
        self._waiting: deque[WaitingJob] = deque()
        self._active: set[int] = set()
        self._queue_moved = False
        self._places = QueuePlaces()
        self._outbox = Outbox()
        self._pulse = Pulse(lambda: connection.report([]))
        if engine.info.encodes:
            self._pulse.start()

    def run(self) -> None:
        """Loop for ever; an exception from the engine ends the process, the host restarts it."""
        while True:
            self._take_work()
            self._admit()
            if self._active:
                self._step()

    def _take_work(self) -> None:
        """Take the work that has arrived; wait for some when no job is active."""
        while not (self._work.empty() and (self._active or self._waiting)):
            work = self._work.get()
            if isinstance(work, WaitingJob):
                self._waiting.append(work)
                self._queue_moved = True
            elif isinstance(work, messages.Cancel):
                self._cancel(work.job)
            else:
                self._engine.set_threads(work.threads)

    def _cancel(self, job: int) -> None:
        if job in self._active:
            self._active.discard(job)
            self._engine.drop(job)
            self._outbox.forget(job)
        else:
            self._waiting = deque(one for one in self._waiting if one.job != job)
            self._queue_moved = True

    def _admit(self) -> None:
        while self._waiting and self._engine.admit(self._waiting[0].job, self._waiting[0].prepared):
            self._active.add(self._waiting.popleft().job)
            self._queue_moved = True
            self._send_pending()
        if self._queue_moved and self._places.due():
            self._queue_moved = False
            if moved := self._places.changed(one.job for one in self._waiting):
                self._connection.report(moved)

    def _send_pending(self) -> None:
        """Send what there is before a step that reads a new prompt, and so may take long."""
        if pending := self._outbox.take():
            self._connection.report(pending)

    def _step(self) -> None:
        self._pulse.begin()
        events = self._engine.step()
        self._pulse.end()
        self._active.difference_update(
            job for job, event in events if isinstance(event, End | ProviderError)
        )
        self._outbox.add(events)
        if self._outbox.due():
            self._connection.report(self._outbox.take())


def serve(sock: socket.socket) -> None:
    """Load the engine that the first message names, then answer until the host ends."""
    connection = Connection(sock)
    first = connection.receive()
    if not isinstance(first, messages.Load):
        raise TypeError("The first message is no Load.")
    spec = first.spec
    for library in unwanted_libraries(spec.package):
        sys.modules[library] = None  # type: ignore[assignment]
    try:
        engine = load(spec, lambda percent: connection.send(messages.Loading(percent)))
    except (BrokenPipeError, ConnectionResetError):
        raise  # the host has gone
    except BaseException as error:  # a panic of a library written in Rust is no Exception
        surprise = error.__cause__ or not isinstance(error, ProviderError)
        log.error("the model cannot be loaded: %s", error, exc_info=surprise)
        connection.send(messages.Refused(describe(load_failure(error, spec.path))))
        return
    work: SimpleQueue[Work] = SimpleQueue()
    intake = IntakeLoop(engine, connection, work)
    threading.Thread(target=intake.run, name="intake", daemon=True).start()
    connection.send(messages.Ready(engine.info))
    DecodeLoop(engine, connection, work).run()


if __name__ == "__main__":
    run_engine_process(serve)
