"""Limits the CPU cores of this process.

onnxruntime cannot change the number of its threads after loading, and loading anew takes seconds.
Its threads here do not spin, so two of them on one core are nearly as fast as one: it is enough to
choose the cores. Engines lock bytes of a file so that they choose different cores.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from itertools import islice
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class CpuAffinity:
    """Keeps the process on some of its cores; does nothing where the system has no such call."""

    def __init__(self) -> None:
        self._works = hasattr(os, "sched_setaffinity") and fcntl is not None
        self._all = sorted(os.sched_getaffinity(0)) if self._works else []
        self._locks = _open_locks() if self._works else None

    def use(self, count: int) -> None:
        """Run every thread on ``count`` cores, if possible on ones that no other engine uses."""
        if not self._works:
            return
        self._release()
        cores = self._all if count >= len(self._all) else self._choose(count)
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.sched_setaffinity(int(thread.name), cores)

    def _choose(self, count: int) -> list[int]:
        chosen = list(islice(filter(self._lock, self._all), count))
        others = (core for core in self._all if core not in chosen)
        return chosen + list(islice(others, count - len(chosen)))

    def _lock(self, core: int) -> bool:
        if self._locks is None:
            return True
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, core)
        except OSError:
            return False
        return True

    def _release(self) -> None:
        if self._locks is not None:
            fcntl.lockf(self._locks, fcntl.LOCK_UN)


def _open_locks() -> int | None:
    """Open the file whose bytes stand for cores; None when it cannot be opened."""
    path = Path(tempfile.gettempdir()) / f"sllm-cores-{os.getuid()}"
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
