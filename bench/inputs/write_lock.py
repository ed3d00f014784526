"""How much of the time another process writes to an SQLite file, seen from outside.

A transaction that may write holds a lock on one byte of the file's shared memory. Asking who holds
it takes microseconds and disturbs nobody.
"""

from __future__ import annotations

import fcntl
import struct
import sys
import time
from pathlib import Path

WRITE_LOCK = 120
"""Offset of that byte: SQLite's ``UNIX_SHM_BASE + WAL_WRITE_LOCK``."""
SAMPLE_SECONDS = 0.001
KNOWN = sys.platform == "linux"
"""Whether the layout of the system's ``struct flock`` is the one below."""
_FLOCK = struct.Struct("@hhqqi4x")


def is_held(shared: int) -> bool:
    """Whether another process holds the lock; ``shared`` is a descriptor of the ``-shm`` file."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, 0, WRITE_LOCK, 1, 0)
    found = _FLOCK.unpack(fcntl.fcntl(shared, fcntl.F_GETLK, asked))
    return bool(found[0] != fcntl.F_UNLCK)


def held_percent(database: Path, seconds: float) -> float:
    """Percent of the next seconds in which the lock is held."""
    held = samples = 0
    end = time.monotonic() + seconds
    with database.with_name(f"{database.name}-shm").open("rb") as shared:
        while time.monotonic() < end:
            held += is_held(shared.fileno())
            samples += 1
            time.sleep(SAMPLE_SECONDS)
    return 100 * held / samples
