"""What one connection, and all of them together, may take of the server: values and descriptors."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import NamedTuple

SPARE_DESCRIPTORS = 64
"""Left for models, the database and pictures when connections take all the others."""


HELD_BYTES = 128 * 2**20
"""What may be kept of all connections together, beside large bodies: requests that have come in
part, and answers that nobody fetches."""


class BodyPace(NamedTuple):
    """A body must bring ``least`` bytes a second, on average of ``seconds`` of waiting for it."""

    least: int
    seconds: float


class BodyBounds(NamedTuple):
    """Bytes of a body: at most ``limit``, or ``large_limit`` on the paths that are ``is_large``."""

    limit: int
    large_limit: int
    is_large: Callable[[str], bool]
    pace: BodyPace


class ConnectionBounds(NamedTuple):
    """Bounds that only the HTTP server itself can keep, before the application sees a request."""

    header_bytes: int
    header_seconds: float
    drain_seconds: float
    keep_alive_seconds: float
    connections: int
    held_bytes: int


BOUND_BY_SERVER = (
    "MAX_HEADER_BYTES",
    "HEADER_TIMEOUT_SECONDS",
    "KEEP_ALIVE_SECONDS",
    "MAX_CONNECTIONS",
)
"""Settings that have no effect when another server than ours runs the application."""


def raise_descriptor_limit() -> int:
    """Let this process open as many files as the system allows it; returns how many those are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says "unlimited" and then refuses it; what it takes is 10,240.
    for wanted in (hard, 10_240):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        return wanted if wanted != resource.RLIM_INFINITY else 2**20
    return soft


def connection_limit(wanted: int, descriptors: int) -> int:
    """Connections at the same time: ``wanted`` (0: any number), as far as descriptors allow."""
    possible = max(1, descriptors - SPARE_DESCRIPTORS)
    return min(wanted, possible) if wanted else possible
