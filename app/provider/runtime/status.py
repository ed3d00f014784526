"""Limits of one engine's service, and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["unloaded", "loading", "ready", "restarting", "failed"]


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """Limits of one engine's service.

    ``max_waiting`` requests may wait beyond the slots. An engine is killed and restarted when it
    has work and sends nothing for ``stall_seconds``, or is not loaded after ``load_seconds``.
    """

    max_waiting: int = 64
    stall_seconds: float = 120.0
    load_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class HostStatus:
    """The state of an engine, as health shows it.

    ``threads`` are its CPU threads, ``idle_seconds`` the time since its last message.
    """

    state: State
    healthy: bool
    pid: int | None
    active: int
    waiting: int
    restarts: int
    threads: int
    idle_seconds: float
    problem: str | None


def failed_status(problem: str) -> HostStatus:
    """Status of a model that cannot be loaded and has no process."""
    return HostStatus("failed", False, None, 0, 0, 0, 0, 0.0, problem)
