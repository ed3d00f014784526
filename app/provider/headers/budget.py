"""Limits the processor time and memory that describing a model may take.

A valid foreign file can still take minutes to read. The readers call ``check`` and ``take`` as they
go. Where no budget is set, as in an engine process, both do nothing.

Only the thread's own processor time counts, so a busy machine or a slow disk makes no difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Found = TypeVar("Found")

FILE_SECONDS = 0.8
FILE_BYTES = 2**26
"""Estimated bytes of Python objects, without the file's own bytes that are being read."""


class TooExpensive(Exception):
    """Reading takes too much. ``str()`` is a sentence for the model's card.

    ``final``: the file itself is the cause, not other files that were read before it.
    """

    def __init__(self, reason: str, *, final: bool = True) -> None:
        super().__init__(reason)
        self.final = final


class ReadBudget:
    """The budget of one model: each file may take a share, all together ``seconds``."""

    def __init__(self, seconds: float, *, whole: bool = True) -> None:
        self._end = time.thread_time() + seconds
        self._whole = whole
        self._remembered: dict[Any, Any] = {}
        self.begin_file()

    def begin_file(self) -> None:
        """Start the share of the next file."""
        self._file_end = time.thread_time() + FILE_SECONDS
        self._bytes_left = FILE_BYTES

    def check(self) -> None:
        """Raise TooExpensive when the time is used up."""
        now = time.thread_time()
        if now > self._file_end:
            raise TooExpensive(
                f"It cannot be described: reading one of its files takes more than "
                f"{FILE_SECONDS:.1f} s. Its headers are far larger than those of other models."
            )
        if now > self._end:
            raise TooExpensive(
                "It cannot be described: reading all of its files takes too long.",
                final=self._whole,
            )

    def take(self, size: int) -> None:
        """Count bytes that stay in memory; raise TooExpensive when they are too many."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise TooExpensive(
                f"It cannot be described: the header of one of its files takes more than "
                f"{FILE_BYTES // 2**20} MB of memory."
            )

    def once(self, key: object, compute: Callable[[], Any]) -> Any:
        """The result of ``compute``, computed once within this budget."""
        if key not in self._remembered:
            self._remembered[key] = compute()
        return self._remembered[key]


_current: ContextVar[ReadBudget | None] = ContextVar("read_budget", default=None)


@contextmanager
def read_budget(seconds: float, *, whole: bool = True) -> Iterator[None]:
    """Set a budget for everything read in the block.

    ``whole``: it is the largest budget, so that a model that exceeds it always will.
    """
    token = _current.set(ReadBudget(seconds, whole=whole))
    try:
        yield
    finally:
        _current.reset(token)


def begin_file() -> None:
    """Call this when a file is opened."""
    if budget := _current.get():
        budget.begin_file()


def check() -> None:
    """Call this every few thousand steps; raises TooExpensive."""
    if budget := _current.get():
        budget.check()


def take(size: int) -> None:
    """Call this for what stays in memory; raises TooExpensive."""
    if budget := _current.get():
        budget.take(size)


def once(key: object, compute: Callable[[], Found]) -> Found:
    """The result of ``compute``; within one budget it is computed once."""
    budget = _current.get()
    found: Found = budget.once(key, compute) if budget else compute()
    return found
