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

from app.downloads.errors import PullNotFound, TooManyPulls
from app.provider.hub import process, staging
from app.provider.hub.errors import HubError, NameTaken
from app.provider.hub.names import Hubs, parse
from app.provider.hub.plan import Plan
from app.storage.timestamps import isoformat
from app.v5.models.pull import PullJob, PullJobs, PullProblem, PullState
from app.web.error_codes import kind_of

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Downloads that run; others wait."""
MOST_OPEN = 20
"""Downloads that run or wait."""
MOST_KEPT = 100
"""Downloads that are remembered."""
LOOKS_AT_ONCE = 4
"""Processes that ask a hub what it has."""
LOOK_SECONDS = 30.0
SPEED_SECONDS = 5.0
"""Time over which the speed is measured."""


@dataclass(eq=False)
class Job:
    """One download; ``arrived`` are bytes, ``samples`` say when how many had arrived."""

    name: str
    plan: Plan
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    created_at: float = field(default_factory=time.time)
    state: PullState = "queued"
    arrived: int = 0
    samples: deque[tuple[float, int]] = field(default_factory=deque)
    problem: Exception | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it runs or waits."""
        return self.state in {"queued", "running"}

    def note(self, arrived: int) -> None:
        """Take down how many bytes have arrived by now."""
        self.arrived = arrived
        self.samples.append((time.monotonic(), arrived))
        self._forget_old()

    def speed(self) -> float:
        """Bytes per second, of late."""
        self._forget_old()
        if self.state != "running" or not self.samples:
            return 0.0
        then, before = self.samples[0]
        return (self.arrived - before) / max(time.monotonic() - then, 0.001)

    def _forget_old(self) -> None:
        """Keep one sample from before the span, so that silence slows the speed down."""
        oldest = time.monotonic() - SPEED_SECONDS
        while len(self.samples) > 1 and self.samples[1][0] < oldest:
            self.samples.popleft()


class Puller:
    """All downloads of this server. Lives on one event loop.

    ``arrived`` is called, in a thread, when a model has come into its place.
    """

    def __init__(self, hubs: Hubs, models_dir: Path, arrived: Callable[[], object]) -> None:
        self._hubs = hubs
        self._models_dir = models_dir
        self._arrived = arrived
        self._jobs: dict[str, Job] = {}  # the latest last
        self._running = asyncio.Semaphore(AT_ONCE)
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def start(self) -> None:
        """Put back what an update had put aside when it was killed."""
        try:
            await asyncio.to_thread(staging.repair, self._models_dir)
        except OSError as error:
            log.warning("a model put aside could not be put back: %s", error)

    async def begin(self, name: str) -> PullJob:
        """Begin to download what ``name`` means, or find the download that does.

        Raises NotOnHub, NotAllowed, HubUnreachable, NoSpace, NameTaken or TooManyPulls.
        """
        wanted = parse(name, self._hubs.default)
        for job in self._open():
            if job.name == name:
                return told(job)
        async with self._looking:
            plan = await process.find(self._hubs, wanted, self._models_dir, LOOK_SECONDS)
        return told(self._same(plan) or self._new(name, plan))

    def jobs(self) -> PullJobs:
        """List the downloads, the latest first."""
        return PullJobs(jobs=[told(job) for job in reversed(self._jobs.values())])

    def job(self, job_id: str) -> PullJob:
        """Tell of one download; raises PullNotFound."""
        return told(self._job(job_id))

    async def cancel(self, job_id: str) -> PullJob:
        """End a download, if it has not ended; raises PullNotFound."""
        job = self._job(job_id)
        if job.is_open and job.task:
            job.task.cancel()
            await asyncio.gather(job.task, return_exceptions=True)
        if job.is_open:
            job.state = "cancelled"
        return told(job)

    async def close(self) -> None:
        """End all downloads."""
        for job in self._open():
            await self.cancel(job.id)

    def _job(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise PullNotFound(job_id)
        return self._jobs[job_id]

    def _open(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.is_open]

    def _same(self, plan: Plan) -> Job | None:
        """Find the open download of this very model; raises NameTaken for another of its name."""
        for job in self._open():
            if job.plan.name == plan.name:
                if job.plan.key == plan.key:
                    return job
                raise NameTaken(f"Another model called {plan.name} is being downloaded.")
        return None

    def _new(self, name: str, plan: Plan) -> Job:
        if len(self._open()) >= MOST_OPEN:
            raise TooManyPulls(MOST_OPEN)
        job = Job(name, plan)
        ended = [known.id for known in self._jobs.values() if not known.is_open]
        for known in ended[: max(0, len(self._jobs) + 1 - MOST_KEPT)]:
            del self._jobs[known]
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._run(job))
        return job

    async def _run(self, job: Job) -> None:
        try:
            async with self._running:
                job.state = "running"
                fetching = process.fetch(self._hubs, job.plan, self._models_dir)
                async with aclosing(fetching) as arrivals:
                    async for arrived in arrivals:
                        job.note(arrived)
            await asyncio.to_thread(self._arrived)
            job.state = "done"
        except Exception as error:  # nobody awaits this task: the job tells of it
            bug = not isinstance(error, HubError)
            log.warning("the download of %s failed: %s", job.plan.place, error, exc_info=bug)
            job.problem, job.state = error, "failed"


def told(job: Job) -> PullJob:
    """A download as clients see it."""
    plan, speed = job.plan, job.speed()
    return PullJob(
        id=job.id,
        name=job.name,
        source=plan.place,
        revision=plan.revision,
        licence=plan.licence,
        state=job.state,
        model=plan.id if job.state == "done" else None,
        files=len(plan.files),
        bytes_done=job.arrived,
        bytes_total=plan.size,
        speed=round(speed, 1),
        seconds_left=round((plan.size - job.arrived) / speed, 1) if speed else None,
        created_at=isoformat(int(job.created_at * 1000)),
        problem=_problem(job.problem),
    )


def _problem(error: Exception | None) -> PullProblem | None:
    if error is None:
        return None
    detail = str(error) if isinstance(error, HubError) else "The server made a mistake."
    return PullProblem(code=kind_of(type(error)).code, detail=detail)
