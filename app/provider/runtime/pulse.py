"""Signs of life of an engine process during a forward pass that takes minutes.

An encoder computes a text in one pass, which nothing interrupts: 8,192 tokens of a model of half a
billion weights take minutes on two cores. The host would take the silence for a hang.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NoReturn

_SECONDS = 10.0
"""Between two signs of life."""

_BUSY_SECONDS = 1.0
"""CPU time of the process in between that shows that it computes, and does not wait for ever."""

LONGEST_PASS_SECONDS = 1800.0
"""A pass that computes for longer is taken for a hang."""


class Pulse:
    """Calls ``send`` while a step computes for long. ``begin`` and ``end`` are of one thread."""

    def __init__(
        self,
        send: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        cpu_time: Callable[[], float] = time.process_time,
    ) -> None:
        self._send = send
        self._clock = clock
        self._cpu_time = cpu_time
        self._begun: float | None = None
        self._last_cpu = cpu_time()

    def start(self) -> None:
        """Begin to beat, in a thread."""
        threading.Thread(target=self._run, name="pulse", daemon=True).start()

    def begin(self) -> None:
        """A step begins."""
        self._begun = self._clock()

    def end(self) -> None:
        """The step has ended."""
        self._begun = None

    def beat(self) -> None:
        """Send a sign of life if a step has been computing since the last call."""
        begun, now, cpu = self._begun, self._clock(), self._cpu_time()
        busy = cpu - self._last_cpu >= _BUSY_SECONDS
        self._last_cpu = cpu
        if begun is not None and busy and _SECONDS <= now - begun < LONGEST_PASS_SECONDS:
            self._send()

    def _run(self) -> NoReturn:
        while True:
            time.sleep(_SECONDS)
            self.beat()
