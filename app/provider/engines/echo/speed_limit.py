"""How fast an echo answers."""

from __future__ import annotations

import time

LEAST_SECONDS = 0.002
"""A shorter wait would last longer than it should: several steps share one."""


class SpeedLimit:
    """Lets at most ``per_second`` steps happen in a second; 0: as many as there are."""

    def __init__(self, per_second: float) -> None:
        self._step_seconds = 1 / per_second if per_second else 0.0
        self._next_at = 0.0

    def wait(self) -> None:
        """Wait until the next step is due; time in which there was none is not made up for."""
        if not self._step_seconds:
            return
        now = time.monotonic()
        self._next_at = max(self._next_at, now) + self._step_seconds
        if self._next_at - now > LEAST_SECONDS:
            time.sleep(self._next_at - now)
