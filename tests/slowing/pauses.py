"""Where code pauses; needs nothing but the standard library, as every child process reads it."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from types import CodeType, FrameType
from typing import Any

Trace = Callable[[FrameType, str, Any], Any]

APP = str(Path(__file__).parents[2] / "app")
TESTS = str(Path(__file__).parents[1])

CHANCE = 0.15
"""That a function pauses: a request calls a hundred, and should not take seconds."""
AGAIN_SECONDS = 1.0
"""A function is left alone for so long afterwards."""
SHARE = 0.4
"""Of a thread's time, at most so much is paused, so that a start does not take a minute."""
LONGEST_SECONDS = 0.3
LINE_SECONDS = 0.12
MOST_LINES = 40


class RandomPauses:
    """Lets functions of the server pause: a function for ``threading.settrace``."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(f"{seed} {os.getpid()}")
        self._asked_at: dict[CodeType, float] = {}
        self._threads: dict[int, tuple[float, float]] = {}  # began at, paused for

    def trace(self, frame: FrameType, event: str, argument: object) -> None:
        """Pause at this function, or not."""
        code = frame.f_code
        if not code.co_filename.startswith(APP):
            return
        now, thread = monotonic(), threading.get_ident()
        began, paused = self._threads.setdefault(thread, (now, 0.0))
        recently = now - self._asked_at.get(code, -AGAIN_SECONDS) < AGAIN_SECONDS
        if recently or paused > SHARE * (now - began):
            return
        self._asked_at[code] = now
        if self._random.random() < CHANCE:
            pause = self._random.random() * LONGEST_SECONDS
            self._threads[thread] = began, paused + pause
            sleep(pause)


class LinePauses:
    """Lets a test pause at the first ``MOST_LINES`` of its lines: a function for ``settrace``."""

    def __init__(self) -> None:
        self._seen: set[tuple[CodeType, int]] = set()

    def trace(self, frame: FrameType, event: str, argument: object) -> Trace | None:
        """Pause at a line of the tests that has not been seen."""
        if len(self._seen) >= MOST_LINES or not frame.f_code.co_filename.startswith(TESTS):
            return None
        where = frame.f_code, frame.f_lineno
        if event == "line" and where not in self._seen:
            self._seen.add(where)
            sleep(LINE_SECONDS)
        return self.trace
