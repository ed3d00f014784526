"""Downloads of models, each in a process of its own; they end with the server."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from app.downloads.download import DownloadState
from app.downloads.errors import PullNotFound, TooManyPulls
from app.provider.hub import process, record, staging
from app.provider.hub.errors import HubError, NameTaken
from app.provider.hub.names import Hubs, parse
from app.provider.hub.plan import Plan
from app.provider.runtime.tasks import cancel_tasks

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Downloads that run at the same time; others are queued."""
MOST_OPEN = 20
"""Downloads that may run or be queued."""
MOST_KEPT = 100
"""Downloads that are remembered."""
LISTINGS_AT_ONCE = 4
"""Processes that ask a hub for its files at the same time."""
LISTING_SECONDS = 30.0
"""Longest time to wait for a hub's list of files."""
SPEED_SECONDS = 5.0
"""Time over which the speed is measured."""


@dataclass(eq=False)
class DownloadJob:
    """One download of a model.

    ``arrived`` is in bytes; ``samples`` hold when how many bytes had arrived. ``error`` is set only
    if the state is ``failed``.
    """

    name: str
    plan: Plan
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    created_at: float = field(default_factory=time.time)
    state: DownloadState = "queued"
    arrived: int = 0
    samples: deque[tuple[float, int]] = field(default_factory=deque)
    error: Exception | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the download is queued or running."""
        return self.state in {"queued", "running"}

    def note(self, arrived: int) -> None:
        """Record how many bytes have arrived by now."""
        self.arrived = arrived
        self.samples.append((time.monotonic(), arrived))
        self._forget_old()

    def speed(self) -> float:
        """Bytes per second over the last seconds; 0 unless the download is running."""
        self._forget_old()
        if self.state != "running" or not self.samples:
            return 0.0
        then, before = self.samples[0]
        return (self.arrived - before) / max(time.monotonic() - then, 0.001)

    def _forget_old(self) -> None:
        """Keep one sample that is older than the span, so that a silent hub lowers the speed."""
        oldest = time.monotonic() - SPEED_SECONDS
        while len(self.samples) > 1 and self.samples[1][0] < oldest:
            self.samples.popleft()


class DownloadJobs:
    """All downloads of this server. Belongs to one event loop.

    ``arrived`` is called, in a thread, when a model has been moved into the models folder.
    """

    def __init__(self, hubs: Hubs, models_dir: Path, arrived: Callable[[], object]) -> None:
        self._hubs = hubs
        self._models_dir = models_dir
        self._arrived = arrived
        self._jobs: dict[str, DownloadJob] = {}  # the latest last
        self._running = asyncio.Semaphore(AT_ONCE)
        self._listing = asyncio.Semaphore(LISTINGS_AT_ONCE)

    async def start(self) -> None:
        """Restore models that a killed update had moved aside."""
        try:
            await asyncio.to_thread(staging.repair, self._models_dir)
        except OSError as error:
            log.warning("a model put aside could not be put back: %s", error)

    async def begin(self, name: str) -> DownloadJob:
        """Begin to download the model of that name, or find the download that is open for it.

        Raises NotOnHub, NotAllowed, HubUnreachable, NoSpace, NameTaken or TooManyPulls.
        """
        wanted = parse(name, self._hubs.default)
        for job in self._open():
            if job.name == name:
                return job
        async with self._listing:
            plan = await process.find(self._hubs, wanted, self._models_dir, LISTING_SECONDS)
        return self._same(plan) or self._new(name, plan)

    async def installed(self, name: str) -> str | None:
        """Id of the model of that name that was pulled before; raises ValueError or NotOnHub."""
        wanted = parse(name, self._hubs.default)
        found = await asyncio.to_thread(record.find, self._models_dir, wanted)
        return found.plan.id if found else None

    async def jobs(self) -> list[DownloadJob]:
        """List the downloads, the latest first."""
        return list(reversed(self._jobs.values()))

    async def job(self, job_id: str) -> DownloadJob:
        """Find a download; raises PullNotFound."""
        return self._found(job_id)

    def _found(self, job_id: str) -> DownloadJob:
        if job_id not in self._jobs:
            raise PullNotFound(job_id)
        return self._jobs[job_id]

    async def cancel(self, job_id: str) -> DownloadJob:
        """End a download unless it has ended; raises PullNotFound."""
        job = self._found(job_id)
        if job.is_open:
            await cancel_tasks(job.task)
        if job.is_open:
            job.state = "cancelled"
        return job

    async def close(self) -> None:
        """End all downloads."""
        for job in self._open():
            await self.cancel(job.id)

    def _open(self) -> list[DownloadJob]:
        return [job for job in self._jobs.values() if job.is_open]

    def _same(self, plan: Plan) -> DownloadJob | None:
        """Find the open download of this model; raises NameTaken for another one of its name."""
        for job in self._open():
            if job.plan.name == plan.name:
                if job.plan.key == plan.key:
                    return job
                raise NameTaken(f"Another model called {plan.name} is being downloaded.")
        return None

    def _new(self, name: str, plan: Plan) -> DownloadJob:
        if len(self._open()) >= MOST_OPEN:
            raise TooManyPulls(MOST_OPEN)
        job = DownloadJob(name, plan)
        ended = [known.id for known in self._jobs.values() if not known.is_open]
        for known in ended[: max(0, len(self._jobs) + 1 - MOST_KEPT)]:
            del self._jobs[known]
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._run(job))
        return job

    async def _run(self, job: DownloadJob) -> None:
        try:
            async with self._running:
                job.state = "running"
                fetching = process.fetch(self._hubs, job.plan, self._models_dir)
                async with aclosing(fetching) as arrivals:
                    async for arrived in arrivals:
                        job.note(arrived)
            await asyncio.to_thread(self._arrived)
            job.state = "done"
        except Exception as error:  # nobody awaits this task: the job keeps the error
            bug = not isinstance(error, HubError)
            log.warning("the download of %s failed: %s", job.plan.reference, error, exc_info=bug)
            job.error, job.state = error, "failed"
