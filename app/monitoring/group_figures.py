"""The figures of all processes that serve one address: each reports its own, anybody gets the sums.

The model server keeps them. What a process has counted stays in the sums when it is gone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from app.monitoring.snapshot import ProcessMetrics, own_process
from app.provider.errors import ProviderError
from app.provider.model_server.counters import Counters, Totals
from app.provider.runtime.tasks import cancel_tasks
from app.web.request_log import Traffic

Exchange = Callable[[Mapping[str, float], Mapping[str, float]], Awaitable[Totals]]
"""Reports counters and gauges of this process, and gives those of all."""

REPORT_SECONDS = 1.0
_HTTP, _CPU = "http", "cpu_seconds"
_MEMORY, _FILES, _START = "resident_bytes", "open_files", "started_at"


class GroupFigures:
    """Reports the figures of this process once a second, between ``start`` and ``close``."""

    def __init__(self, exchange: Exchange, traffic: Traffic) -> None:
        self._exchange = exchange
        self._traffic = traffic
        self._sums: Counter[str] = Counter()
        self._reporting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to report."""
        self._reporting = asyncio.create_task(self._report())

    async def close(self) -> None:
        """Report a last time, as far as the model server is there, and stop."""
        if self._reporting:
            await cancel_tasks(self._reporting)
            with suppress(ProviderError, TimeoutError):
                await asyncio.wait_for(self.measure(), REPORT_SECONDS)

    async def measure(self) -> tuple[Traffic, ProcessMetrics]:
        """The sums of now; raises EngineUnavailable."""
        process = await asyncio.to_thread(own_process)
        totals = await self._exchange(*_figures(self._traffic, process))
        # A model server that has just been started has not heard of all of them yet.
        self._sums |= _sums(totals)
        return _traffic(self._sums), _process(totals.running, self._sums[_CPU])

    async def _report(self) -> None:
        while True:
            with suppress(ProviderError):  # the next report has it all
                await self.measure()
            await asyncio.sleep(REPORT_SECONDS)


def _figures(
    traffic: Traffic, process: ProcessMetrics
) -> tuple[dict[str, float], dict[str, float]]:
    counters = {f"{_HTTP} {method} {status}": float(n) for (method, status), n in traffic.items()}
    counters[_CPU] = process.cpu_seconds
    gauges = {
        _MEMORY: float(process.resident_bytes),
        _FILES: float(process.open_files),
        _START: process.started_at,
    }
    return counters, gauges


def _sums(totals: Totals) -> Counter[str]:
    sums = Counter(totals.ended)
    for one in totals.running:
        sums.update(one.counters)
    return sums


def _traffic(sums: Counter[str]) -> Traffic:
    found: Traffic = Counter()
    for name, count in sums.items():
        kind, *rest = name.split(" ")
        if kind == _HTTP:
            method, status = rest
            found[method, int(status)] = round(count)
    return found


def _process(running: Sequence[Counters], cpu_seconds: float) -> ProcessMetrics:
    """One that stands for all: memory and files of those that run, and the first start."""
    return ProcessMetrics(
        resident_bytes=round(sum(one.gauges.get(_MEMORY, 0.0) for one in running)),
        cpu_seconds=cpu_seconds,
        open_files=round(sum(one.gauges.get(_FILES, 0.0) for one in running)),
        started_at=min((one.gauges[_START] for one in running if _START in one.gauges), default=0),
    )
