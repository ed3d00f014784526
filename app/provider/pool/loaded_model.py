"""One loaded model: how many requests use it, and when it is unloaded because none does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.provider.card import ModelCard
from app.provider.engine import ENGINES, starts_processes
from app.provider.pool.eviction import LedgerEntry

if TYPE_CHECKING:
    from app.provider.runtime.host import EngineHost

LEAST_IDLE_SECONDS = 1.0
"""A model is unloaded no earlier: the requests of one turn follow each other, and would load it
again and again."""


@dataclass(slots=True)
class LoadedModel:
    """A loaded model with its host. ``leases`` counts the requests that use it.

    Belongs to the event loop of its host.
    """

    card: ModelCard
    host: EngineHost
    entry: LedgerEntry
    leases: int = 0
    _unloading: asyncio.TimerHandle | None = None

    @property
    def failed(self) -> bool:
        """Whether the model could not be loaded, so that it only occupies memory."""
        return self.host.status().state == "failed"

    @property
    def processes(self) -> tuple[int | None, bool]:
        """The id of its process, if it has one, and whether that starts others."""
        return self.host.status().pid, starts_processes(ENGINES[self.card.engine])

    @property
    def shares_threads(self) -> bool:
        """Whether it is in use, and its own process computes."""
        return bool(self.leases) and not self.card.remote and not self.processes[1]

    def unload_after(self, seconds: float, unload: Callable[[], None]) -> None:
        """Call ``unload`` when the model has been idle for so long (inf: never)."""
        if math.isfinite(seconds):
            loop = asyncio.get_running_loop()
            self._unloading = loop.call_later(max(seconds, LEAST_IDLE_SECONDS), unload)

    def keep(self) -> None:
        """Take back what ``unload_after`` began."""
        if self._unloading:
            self._unloading.cancel()
            self._unloading = None
