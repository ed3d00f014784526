"""The engine process: ``python -m app.provider.runtime.worker FD``, started by ``EngineHost``.

Two threads. Intake reads messages and prepares prompts (template, tokeniser); decode owns the
engine and loops admit → step → report. Nothing here knows JSON, SQL or HTTP. When the host
goes, in whatever way, the socket ends and so does this process.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from app.provider.engine import Engine, EngineSpec, load, unwanted_libraries
from app.provider.errors import ContextOverflow, ProviderError, UnsupportedInput
from app.provider.runtime import messages
from app.provider.runtime.load_errors import refusal, sentence
from app.provider.types import Delta, End, Loaded, Progress, Prompt, Size

log = logging.getLogger(__name__)

FRAME_SECONDS = 1 / 60


class Line:
    """The socket to the host; both threads may send."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send one message."""
        frame = messages.encode(message)
        with self._lock:
            self._sock.sendall(frame)

    def receive(self) -> Any:
        """Wait for the next message; ends the process when the host has gone."""
        try:
            return messages.receive(self._sock)
        except (EOFError, OSError):
            os._exit(0)  # the decode thread may be deep inside the library: no tidy way out


@dataclass(slots=True)
class Waiting:
    """A prepared job that waits for a slot."""

    job: int
    prepared: Any


Work = Waiting | messages.Cancel | messages.Threads
"""What intake hands to decode."""


class Intake:
    """Turns messages into work for the decode thread."""

    def __init__(self, engine: Engine, line: Line, work: SimpleQueue[Work]) -> None:
        self._engine = engine
        self._line = line
        self._work = work

    def run(self) -> None:
        """Read messages for ever; ends the process when that cannot go on."""
        try:
            self._run()
        except BaseException:  # the decode thread would wait for work that never comes
            log.critical("the engine cannot take requests any more", exc_info=True)
            os._exit(1)

    def _run(self) -> None:
        while True:
            message = self._line.receive()
            if isinstance(message, messages.Submit):
                self._prepare(message.job, message.prompt)
            elif isinstance(message, messages.Count):
                self._line.send([(message.job, self._count(message.prompt))])
            elif isinstance(message, messages.Greet):
                self._line.send([(message.job, Loaded())])
            else:
                self._work.put(message)

    def _prepare(self, job: int, prompt: Prompt) -> None:
        prepared = self._prepared(prompt)
        if isinstance(prepared, ProviderError):
            self._line.send([(job, prepared)])
        else:
            self._work.put(Waiting(job, prepared))

    def _count(self, prompt: Prompt) -> Size | ProviderError:
        limit = self._engine.info.context_length
        prepared = self._prepared(prompt)
        if isinstance(prepared, ContextOverflow):
            return Size(prepared.needed, limit)
        return (
            prepared if isinstance(prepared, ProviderError) else Size(prepared.prompt_tokens, limit)
        )

    def _prepared(self, prompt: Prompt) -> Any:
        """Prepare a prompt, or return why it cannot be; whatever goes wrong costs only its job."""
        try:
            return self._engine.prepare(prompt)
        except UnsupportedInput as error:  # in words of the model's template
            return UnsupportedInput(sentence(str(error)))
        except ProviderError as error:
            return error
        except BaseException:  # a panic of a library written in Rust is no Exception
            log.exception("preparing a prompt failed")
            return ProviderError("The engine could not prepare this prompt.")


class Outbox:
    """What steps gave and the host has not been told.

    A small model makes many tokens between two frames of a screen. Text of one job that comes
    within FRAME_SECONDS is joined, so that the cores compute instead of carrying single words;
    everything that is not text goes out at once.
    """

    def __init__(self) -> None:
        self._events: messages.Report = []
        self._urgent = False
        self._sent_at = 0.0

    def add(self, events: Sequence[tuple[int, messages.Outcome]]) -> None:
        """Note the events of a step."""
        self._events += events
        self._urgent = self._urgent or any(not isinstance(event, Delta) for _, event in events)

    def due(self) -> bool:
        """Whether it is time to send, be it only an empty sign of life."""
        return self._urgent or time.monotonic() - self._sent_at >= FRAME_SECONDS

    def take(self) -> messages.Report:
        """Everything noted, with the text of each job joined."""
        joined: dict[int, list[messages.Outcome]] = {}
        for job, event in self._events:
            told = joined.setdefault(job, [])
            if told and isinstance(event, Delta) and isinstance(told[-1], Delta):
                told[-1] = Delta(told[-1].text + event.text, event.retracted)
            else:
                told.append(event)
        self._events, self._urgent, self._sent_at = [], False, time.monotonic()
        return [(job, event) for job, told in joined.items() for event in told]


class Decode:
    """Owns the engine: admits waiting jobs in order of arrival and steps until all are done."""

    def __init__(self, engine: Engine, line: Line, work: SimpleQueue[Work]) -> None:
        self._engine = engine
        self._line = line
        self._work = work
        self._waiting: deque[Waiting] = deque()
        self._active: set[int] = set()
        self._line_moved = False
        self._outbox = Outbox()

    def run(self) -> None:
        """Loop for ever; an exception from the engine ends the process, the host restarts it."""
        while True:
            self._take_work()
            self._admit()
            if self._active:
                self._step()

    def _take_work(self) -> None:
        """Take what has come in; wait for it when there is nothing to step."""
        while not (self._work.empty() and (self._active or self._waiting)):
            work = self._work.get()
            if isinstance(work, Waiting):
                self._waiting.append(work)
                self._line_moved = True
            elif isinstance(work, messages.Cancel):
                self._cancel(work.job)
            else:
                self._engine.set_threads(work.threads)

    def _cancel(self, job: int) -> None:
        if job in self._active:
            self._active.discard(job)
            self._engine.drop(job)
        else:
            self._waiting = deque(one for one in self._waiting if one.job != job)
            self._line_moved = True

    def _admit(self) -> None:
        while self._waiting and self._engine.admit(self._waiting[0].job, self._waiting[0].prepared):
            self._active.add(self._waiting.popleft().job)
            self._line_moved = True
        if self._line_moved and self._waiting:
            line = enumerate(self._waiting)
            self._line.send([(one.job, Progress("queued", ahead)) for ahead, one in line])
        self._line_moved = False

    def _step(self) -> None:
        events = self._engine.step()
        self._active.difference_update(
            job for job, event in events if isinstance(event, End | ProviderError)
        )
        self._outbox.add(events)
        if self._outbox.due():
            self._line.send(self._outbox.take())


def serve(sock: socket.socket) -> None:
    """Load the engine that the first message names, then answer until the host goes."""
    line = Line(sock)
    spec: EngineSpec = line.receive()
    for library in unwanted_libraries(spec.package):
        sys.modules[library] = None  # type: ignore[assignment]
    try:
        engine = load(spec, lambda percent: line.send(messages.Loading(percent)))
    except (BrokenPipeError, ConnectionResetError):
        raise  # the host has gone
    except BaseException as error:  # a panic of a library written in Rust is no Exception
        surprise = error.__cause__ or not isinstance(error, ProviderError)
        log.error("the model cannot be loaded: %s", error, exc_info=surprise)
        line.send(messages.Refused(refusal(error, spec.path)))
        return
    work: SimpleQueue[Work] = SimpleQueue()
    intake = Intake(engine, line, work)
    threading.Thread(target=intake.run, name="intake", daemon=True).start()
    line.send(messages.Ready(engine.info))
    Decode(engine, line, work).run()


def main() -> None:
    """Serve the host at the other end of the socket, then end at once.

    There is nothing to tidy up, and a thread of a library may never return.
    """
    # Ctrl-C reaches the whole terminal group; the host decides when an engine ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(format="%(levelname)s engine %(process)d: %(message)s")
    code = 0
    try:
        serve(socket.socket(fileno=int(sys.argv[1])))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the host has gone
    except BaseException:
        log.critical("the engine failed", exc_info=True)
        code = 1
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
