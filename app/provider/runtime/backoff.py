"""Delays between the restarts of a broken engine."""

from __future__ import annotations

import time

LONGEST_SECONDS = 30.0
STABLE_SECONDS = 60.0
"""An engine that has run for so long starts its back-off anew when it dies."""


class BackOff:
    """No delay after the first failure, then 0.5 s doubling to 30 s."""

    def __init__(self) -> None:
        self._failures = 0
        self._retry_at = 0.0

    def failed(self, ran_seconds: float = 0.0) -> float:
        """Count a failure after a run of ``ran_seconds``; returns the delay before the next try."""
        if ran_seconds > STABLE_SECONDS:
            self._failures = 0
        delay = min(LONGEST_SECONDS, 0.25 * 2**self._failures) if self._failures else 0.0
        self._failures += 1
        self._retry_at = time.monotonic() + delay
        return delay

    @property
    def left(self) -> float:
        """Seconds until the next try; negative when its time has come."""
        return self._retry_at - time.monotonic()
