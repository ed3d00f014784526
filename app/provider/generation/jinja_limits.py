"""Limits that a template cannot get around: its time, the text it writes, the memory it takes.

A template comes from a model file or a user, so it is hostile until rendered. A loop is ended by
an exception raised inside the rendering thread. That cannot end one call into C, so whatever such
a call would make is paid for out of an allowance beforehand.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

_LONGEST_REASON = 500
"""Characters of an error's text that are passed on; a template may raise megabytes."""

_SOON = 0.01
"""Seconds until an exception that was ignored is raised again."""

_PATIENCE = 4
"""A thread that gets no processor may take so many times as long."""

T = TypeVar("T")


class TemplateFailed(Exception):
    """The template refused its input, broke a limit or is itself broken."""


class TemplateRefused(TemplateFailed):
    """The template called ``raise_exception``: it does not take such a conversation."""


class _OutOfTime(BaseException):
    """Raised asynchronously inside the rendering thread; no template can catch it."""


class Allowance(threading.local):
    """What the template that this thread renders may still handle."""

    left = 0
    granted = 0

    def grant(self, amount: int) -> None:
        """Begin a rendering that may handle so much."""
        self.left = self.granted = amount

    def spend(self, amount: int) -> None:
        """Pay for what is about to be made; raises TemplateFailed."""
        self.left -= amount
        if self.left < 0:
            raise TemplateFailed("The template renders more text than is allowed.")


def clipped(reason: object) -> str:
    """An error's text, without what a template may have put into it by the megabyte."""
    text = str(reason)
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def bounded(seconds: float, work: Callable[[], T]) -> T:
    """Do what a template asks for; too long, or any error of it, raises TemplateFailed.

    ``seconds`` are those of the processor, so that a busy machine refuses nothing.

    A function, not a context manager: the end of the time can come just before the body of a
    ``with`` statement, where nothing would catch it.
    """
    try:
        with _watchdog.limit(seconds):
            return work()
    except _OutOfTime:
        raise TemplateFailed(f"The template took longer than {seconds:g} s.") from None
    except TemplateFailed:
        raise
    except Exception as error:  # a template can raise anything that Python can
        raise TemplateFailed(clipped(error)) from error


def limited(pieces: Iterable[str], longest: int) -> Iterator[str]:
    """Pass text on up to so many characters; raises TemplateFailed beyond."""
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > longest:
            raise TemplateFailed("The template renders more text than is allowed.")
        yield piece


@dataclass(slots=True, eq=False)
class _Limit:
    """One piece of work: its thread, and the monotonic times at which it may and has to be done."""

    thread: int
    deadline: float
    last: float
    clock: int | None
    used_up_at: float = 0.0

    @classmethod
    def of_this_thread(cls, seconds: float) -> _Limit:
        """So many seconds of this thread's processor time, where the system tells that."""
        now, thread = time.monotonic(), threading.get_ident()
        if not hasattr(time, "pthread_getcpuclockid"):  # macOS, Windows
            return cls(thread, now + seconds, now + seconds, None)
        clock = time.pthread_getcpuclockid(thread)
        used_up_at = time.clock_gettime(clock) + seconds
        return cls(thread, now + seconds, now + _PATIENCE * seconds, clock, used_up_at)

    def is_over(self, now: float) -> bool:
        """Whether the time is over; a deadline that came too soon is put off."""
        if now < self.deadline:
            return False
        if self.clock is not None and now < self.last:
            self.deadline = min(self.last, now + self._left(self.clock))
        return self.deadline <= now

    def _left(self, clock: int) -> float:
        try:
            return self.used_up_at - time.clock_gettime(clock)
        except OSError:  # the thread has ended
            return 0.0


class _Watchdog:
    """One thread that raises _OutOfTime in threads whose time is over.

    It sleeps until the next deadline, not until the next render: a timer per render would cost
    more than rendering. Python ignores what is raised inside a finalizer or a weak reference's
    callback; what strikes there is raised again after it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limits: set[_Limit] = set()
        self._striking: set[_Limit] = set()
        self._struck: dict[int, _Limit] = {}
        self._awake_at = math.inf
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Bound what this thread does inside the block."""
        mine = _Limit.of_this_thread(seconds)
        with self._changed:
            self._start()
            self._limits.add(mine)
            if mine.deadline < self._awake_at:
                self._changed.notify()
        try:
            yield
        finally:
            try:
                self._settle(mine)
            finally:
                self._struck.pop(mine.thread, None)

    def _settle(self, mine: _Limit) -> None:
        """Let an exception that is on its way arrive now, never after the block.

        It takes no lock: the exception could strike while it is held, and nobody could render
        again.
        """
        while not self._take(mine):
            on_its_way = mine in self._striking
            time.sleep(0)  # it arrives now; ignored here, it is among the limits again
            if not on_its_way and mine not in self._limits:
                return

    def _start(self) -> None:
        if self._thread is None:
            self._notice_ignored()
            self._thread = threading.Thread(target=self._run, name="templates", daemon=True)
            self._thread.start()

    def _notice_ignored(self) -> None:
        """Be told, in the thread that was struck, when Python ignores our exception."""
        others = sys.unraisablehook

        def hook(ignored: sys.UnraisableHookArgs, /) -> None:
            struck = self._struck.get(threading.get_ident())
            if struck and ignored.exc_type is _OutOfTime:
                self._limits.add(struck)
            else:
                others(ignored)

        sys.unraisablehook = hook

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                # A copy, made at once: threads take their own limit out without a lock.
                for limit in list(self._limits):
                    if limit.is_over(now):
                        self._strike(limit)
                self._awake_at = min((one.deadline for one in list(self._limits)), default=math.inf)
                left = _SOON if self._struck else self._awake_at - now
                self._changed.wait(None if left == math.inf else left)

    def _strike(self, limit: _Limit) -> None:
        self._striking.add(limit)
        if self._take(limit):
            self._struck[limit.thread] = limit
            exception = ctypes.py_object(_OutOfTime)
            thread = ctypes.c_ulong(limit.thread)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, exception)
        self._striking.discard(limit)

    def _take(self, limit: _Limit) -> bool:
        """Take the limit out; False when the other side has."""
        try:
            self._limits.remove(limit)
        except KeyError:
            return False
        return True


_watchdog = _Watchdog()
