"""What ``/health`` and ``/metrics`` measure at the moment they are asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psutil

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

    ``lag`` is the time in seconds that a task waited for its turn on the event loop.
    """

    models: HostSnapshot
    traffic: Traffic
    database_up: bool
    lag: float
    process: ProcessMetrics


async def read(pool: ModelPool, database: Database, traffic: Traffic) -> MetricsSnapshot:
    """Measure now."""
    return MetricsSnapshot(
        lag=await _lag(),
        database_up=not await database.problem(),
        process=await asyncio.to_thread(_own),
        models=await pool.measured(),
        traffic=traffic,
    )


def _own() -> ProcessMetrics:
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
