"""A long computation that goes on in pieces, between other things.

It runs in a thread of its own, but never at the same time as whoever lets it go on: two
computations at once would fight for the same cores.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class _Abandoned(BaseException):
    """Ends the thread of a computation that nobody needs any more."""


class Pausable(Generic[T]):
    """``work`` goes on from one ``pause`` to the next each time it is told to."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._abandoned = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self.done = False
        self._thread = threading.Thread(target=self._run, name="look", daemon=True)
        self._thread.start()

    def go_on(self) -> bool:
        """Compute up to the next pause; whether all is done."""
        if not self.done:
            self._go.release()
            self._stopped.acquire()
        return self.done

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self._error is not None

    def result(self) -> T:
        """What came out when it was done; raises what went wrong."""
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def abandon(self) -> None:
        """End it where it is."""
        self._abandoned = True
        self.go_on()

    def _run(self) -> None:
        self._go.acquire()
        _mine.pausable = self
        try:
            if not self._abandoned:
                self._result = self._work()
        except BaseException as error:  # told to whoever asks for the result
            self._error = error
        self.done = True
        self._stopped.release()

    def _pause(self) -> None:
        self._stopped.release()
        self._go.acquire()
        if self._abandoned:
            raise _Abandoned


_mine = threading.local()


def pause(*_: object) -> None:
    """Stop here if this is the thread of a ``Pausable``. Also a hook of PyTorch's modules."""
    if (pausable := getattr(_mine, "pausable", None)) is not None:
        pausable._pause()
