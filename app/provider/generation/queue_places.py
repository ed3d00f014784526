"""Tells waiting jobs how many are ahead of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from app.provider.types import Progress

SECONDS_PER_PLACE = 0.001
"""How long the next report waits for each place in the last one."""


class QueuePlaces:
    """The places of waiting jobs as their clients know them.

    Each change is reported once. A job that is admitted moves all others up, so where many wait
    the reports are less frequent: on average at most one place in ``SECONDS_PER_PLACE``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reported: dict[int, int] = {}
        self._due_at = float("-inf")

    def due(self) -> bool:
        """Whether the last report was long enough ago."""
        return self._clock() >= self._due_at

    def changed(self, waiting: Iterable[int]) -> list[tuple[int, Progress]]:
        """Jobs that wait, in order, whose place is not the one last reported; it counts as that."""
        places = {job: ahead for ahead, job in enumerate(waiting)}
        known, self._reported = self._reported, places
        moved = [(job, ahead) for job, ahead in places.items() if known.get(job) != ahead]
        self._due_at = self._clock() + len(moved) * SECONDS_PER_PLACE
        return [(job, Progress("queued", ahead)) for job, ahead in moved]
