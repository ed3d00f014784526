"""A long computation that can stop in the middle and go on later.

It has a thread of its own, but never runs at the same time as the caller: two computations at
once would compete for the same cores.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class _Cancelled(BaseException):
    """Ends the thread of a cancelled computation."""


class ResumableTask(Generic[T]):
    """Runs ``work`` from one ``pause`` to the next, whenever ``advance`` is called.

    A task whose work is to encode an image is an ``image_encoder.Encoding``.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._cancelled = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.done = False

    def ready(self, patience: float) -> bool:
        """Whether it can go on: always, until it is done."""
        return not self.done

    def advance(self) -> None:
        """Compute up to the next pause."""
        if self.done:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="resumable", daemon=True)
            self._thread.start()
        self._go.release()
        self._stopped.acquire()

    def result(self) -> T:
        """The result of ``work``; raises what ``work`` raised."""
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def cancel(self) -> None:
        """End it where it is."""
        self._cancelled = True
        self.advance()

    def _run(self) -> None:
        self._go.acquire()
        _current.task = self
        try:
            if not self._cancelled:
                self._result = self._work()
        except BaseException as error:  # raised again in the thread that asks for the result
            self._error = error
        self.done = True
        self._stopped.release()

    def _pause(self) -> None:
        self._stopped.release()
        self._go.acquire()
        if self._cancelled:
            raise _Cancelled


_current = threading.local()


def pause(*_: object) -> None:
    """Stop here if this thread runs a ``ResumableTask``. Also a hook of PyTorch's modules."""
    if (task := getattr(_current, "task", None)) is not None:
        task._pause()
