"""What preparing a request may take long for: done one at a time, owners in turn, with a limit."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from app.provider.engine import Deferred
from app.provider.errors import ProviderError, UnsupportedConstraint, UnsupportedInput
from app.provider.runtime.load_errors import sentence

log = logging.getLogger(__name__)

LIMIT_SECONDS = 2.0
"""A request whose grammar takes longer to compile is refused."""

TOO_SLOW = (
    "The schema or grammar is too complex: compiling it takes more than "
    f"{LIMIT_SECONDS:g} seconds. Make it smaller."
)


def attempt(prepare: Callable[[], Any]) -> Any:
    """What ``prepare`` returns, or the error; a failure affects only this request."""
    try:
        return prepare()
    except BaseException as error:  # a panic of a library written in Rust is no Exception
        return failed_request(error)


def failed_request(error: BaseException) -> ProviderError:
    """What a request fails with; an error that nobody expected is logged."""
    if isinstance(error, UnsupportedInput):  # the text comes from a template, library or server
        return type(error)(sentence(str(error)))
    if isinstance(error, ProviderError):
        return error
    log.error("preparing a prompt failed", exc_info=error)
    return ProviderError("The engine could not prepare this prompt.")


class DeferredWork:
    """Finishes prepared tasks in a thread; ``finished`` gets each with its job, or its error.

    A task that takes too long is refused when its time is up. Its library call cannot be stopped,
    so the next task waits until it returns; caps on what is compiled keep that short.
    """

    def __init__(self, finished: Callable[[int, Any], None]) -> None:
        self._finished = finished
        self._waiting: dict[str, deque[tuple[int, Deferred]]] = {}  # by owner, in turn
        self._open: set[int] = set()  # jobs that nobody has cancelled or answered
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, job: int, task: Deferred) -> None:
        """Finish this task, after others of its owner."""
        with self._changed:
            self._open.add(job)
            self._waiting.setdefault(task.owner, deque()).append((job, task))
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deferred", daemon=True)
                self._thread.start()

    def cancel(self, job: int) -> bool:
        """Forget a job; False if it is none of these, or has been passed on."""
        with self._changed:
            known = job in self._open
            self._open.discard(job)
            return known

    def _run(self) -> None:
        while True:
            job, task = self._next()
            if job not in self._open:
                continue
            attempt(task.warm_up)
            timer = threading.Timer(
                LIMIT_SECONDS, self._answer, (job, UnsupportedConstraint(TOO_SLOW))
            )
            timer.daemon = True
            timer.start()
            self._answer(job, attempt(task.finish))
            timer.cancel()

    def _next(self) -> tuple[int, Deferred]:
        """Wait for a task; the owner goes to the end of the line."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            owner = next(iter(self._waiting))
            tasks = self._waiting.pop(owner)
            found = tasks.popleft()
            if tasks:
                self._waiting[owner] = tasks
            return found

    def _answer(self, job: int, result: Any) -> None:
        """Pass a result on, unless the job was cancelled or answered before."""
        with self._changed:
            if job in self._open:
                self._open.discard(job)
                self._finished(job, result)
