"""Processor time, measured against work of the same run: no test may depend on a machine's speed.

A *unit* is what this machine takes for a fixed piece of Python. Bounds of processor time are so
many units, with a wide margin: a slower machine takes longer for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

REFERENCE_SECONDS = 0.025
"""A unit on the machine on which the product's own bounds of processor time were chosen."""


def unit() -> float:
    """Processor seconds of a fixed piece of work, at its best of three."""
    return min(cpu_seconds(_work) for _ in range(3))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Processor seconds that this thread takes for ``work``."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def reference_time() -> float:
    """``time.thread_time``, told in seconds of the reference machine."""
    return time.thread_time() * REFERENCE_SECONDS / _first_unit()


REFERENCE_CLOCK = SimpleNamespace(thread_time=reference_time)
"""Stands in for the module ``time`` where the product bounds its processor time."""

_first_unit = cache(unit)


def _work() -> None:
    counts: dict[int, int] = {}
    for number in range(100_000):
        counts[number % 1000] = counts.get(number % 1000, 0) + len(str(number))
