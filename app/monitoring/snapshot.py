"""What ``/health`` and ``/metrics`` measure at the moment they are asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

import psutil

from app.provider.errors import EngineUnavailable
from app.provider.pool.model_host import HostSnapshot
from app.provider.pool.pool import ModelPool
from app.storage.database import Database
from app.web.request_log import Traffic


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """The API process: bytes in RAM, CPU seconds so far, open files, Unix time of its start."""

    resident_bytes: int
    cpu_seconds: float
    open_files: int
    started_at: float


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Everything that is exported, at one moment.

    ``lag`` is the time in seconds that a task waited for its turn on the event loop. ``traffic``
    and ``process`` are None while those of other processes cannot be asked for.
    """

    models: HostSnapshot
    models_up: bool
    traffic: Traffic | None
    database_up: bool
    lag: float
    process: ProcessMetrics | None


class Figures(Protocol):
    """Of the process that serves, or of all that do."""

    async def measure(self) -> tuple[Traffic, ProcessMetrics]:
        """What has been answered so far, and what that takes; raises EngineUnavailable."""


class OwnFigures:
    """Those of this process, which serves alone."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    async def measure(self) -> tuple[Traffic, ProcessMetrics]:
        """The figures of now."""
        return self._traffic, await asyncio.to_thread(own_process)


async def read(pool: ModelPool, database: Database, figures: Figures) -> MetricsSnapshot:
    """Measure now."""
    traffic, process = await _measured(figures)
    models = await pool.measured()
    return MetricsSnapshot(
        lag=await _lag(),
        database_up=not await database.problem(),
        process=process,
        models=models,
        models_up=pool.host_problem() is None,
        traffic=traffic,
    )


async def _measured(figures: Figures) -> tuple[Traffic, ProcessMetrics] | tuple[None, None]:
    try:
        return await figures.measure()
    except EngineUnavailable:
        return None, None


def own_process() -> ProcessMetrics:
    """Measure this process."""
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        return ProcessMetrics(
            resident_bytes=process.memory_info().rss,
            cpu_seconds=times.user + times.system,
            open_files=process.num_fds(),
            started_at=process.create_time(),
        )


async def _lag() -> float:
    """One turn of the event loop: what any other task would have to wait now."""
    asked = time.perf_counter()
    await asyncio.sleep(0)
    return time.perf_counter() - asked
