"""Keeps other work off the machine while a sample is measured, and lets it go on in between.

Other work takes the lock shared (``flock -s FILE COMMAND``). The bench takes it exclusively.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.machine import Neighbours

T = TypeVar("T")

STRETCH_SECONDS = 30.0
PAUSE_SECONDS = 15.0


@dataclass
class Quiet:
    """Measures while it holds ``lock``. Without a lock it measures without pauses.

    After ``stretch`` seconds with the lock it gives the lock away for ``pause`` seconds, but never
    in the middle of a sample. So short samples follow each other at once.
    """

    lock: Path | None = None
    stretch: float = STRETCH_SECONDS
    pause: float = PAUSE_SECONDS
    _held: float = 0.0  # since the last pause, also of workloads that have ended

    def samples(self, work: Iterator[T], neighbours: Neighbours) -> Iterator[T]:
        """Yield what ``work`` yields; ``neighbours`` counts only the time with the lock."""
        while True:
            if self._due():
                time.sleep(self.pause)
                self._held = 0.0
            with self._locked(), neighbours.counted():
                begun, before = time.monotonic(), self._held
                for sample in work:
                    self._held = before + time.monotonic() - begun
                    yield sample
                    if self._due():
                        break
                else:
                    return

    def _due(self) -> bool:
        return self.lock is not None and self._held >= self.stretch

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self.lock is None:
            yield
            return
        with self.lock.open("a") as file:  # closing it releases the lock
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
