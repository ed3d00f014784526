"""Ids and times of rows."""

from __future__ import annotations

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A UUID of version 7 (RFC 9562). It sorts by time; within this process, ids only increase."""
    global _last  # noqa: PLW0603 — the order must hold between threads
    with _lock:
        _last = max(now() << 74 | int.from_bytes(os.urandom(9)), _last + 1)
        number = _last
    return str(uuid.UUID(int=_with_version_bits(number)))


def _with_version_bits(number: int) -> int:
    """122 bits with the version and the variant put between them."""
    return (
        number >> 74 << 80 | 7 << 76 | (number >> 62 & 0xFFF) << 64 | 2 << 62 | number & (2**62 - 1)
    )


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
