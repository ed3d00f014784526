"""The model that the setting PULL names: fetched once, while the server already answers."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from app.errors import AppError
from app.provider.errors import ProviderError
from app.provider.hub.errors import Damaged, HubUnreachable
from app.provider.types import Value

if TYPE_CHECKING:
    from app.downloads.jobs import DownloadJob, DownloadJobs

log = logging.getLogger(__name__)

PullState = Literal["pulling", "done", "failed"]

REPORT_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before it is tried again where the network or the hub fails."""


class PullStatus(Protocol):
    """The model to pull, whichever process pulls it."""

    name: str

    @property
    def state(self) -> PullState:
        """Whether it has arrived."""

    def shown(self) -> dict[str, Any]:
        """The part of ``/health`` about it."""


class PullProgress(Value, frozen=True):
    """How far it is; sizes in bytes, None while they are not known."""

    state: PullState
    problem: str | None = None
    completed: int | None = None
    total: int | None = None


def shown(name: str, progress: PullProgress) -> dict[str, Any]:
    """The part of ``/health`` about the model of that name."""
    return {
        "name": name,
        "state": progress.state,
        "completed": progress.completed,
        "total": progress.total,
        "problem": progress.problem,
    }


class StartupPull:
    """One model, with how far it is; without a ``name`` there is none and it is done at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: PullState = "pulling" if name else "done"
        self._problem: str | None = None
        self._job: DownloadJob | None = None

    def progress(self) -> PullProgress:
        """How far it is."""
        job = self._job
        sizes = (job.arrived, job.plan.size) if job else (None, None)
        return PullProgress(self.state, self._problem, *sizes)

    def shown(self) -> dict[str, Any]:
        """The part of ``/health`` about it."""
        return shown(self.name, self.progress())

    async def run(self, downloads: DownloadJobs) -> None:
        """Fetch it unless it is there; try again for as long as only the hub fails."""
        pause = FIRST_PAUSE
        while self.state == "pulling":
            error = await self._attempt(downloads)
            if error is None:
                self.state, self._problem = "done", None
                return
            self._problem = str(error)
            if not isinstance(error, (HubUnreachable, Damaged)):
                self.state = "failed"
                log.error("PULL=%s: %s", self.name, error)
                return
            log.warning("PULL=%s: %s Trying again in %.0f s.", self.name, error, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _attempt(self, downloads: DownloadJobs) -> Exception | None:
        """Why it did not arrive."""
        try:
            if found := await downloads.installed(self.name):
                log.info("PULL=%s: %s is there", self.name, found)
                return None
            self._job = job = await downloads.begin(self.name)
        except (AppError, ProviderError, ValueError) as error:
            return error
        await self._watch(job)
        if job.state == "cancelled":
            return AppError("The download was cancelled.")
        return job.error

    async def _watch(self, job: DownloadJob) -> None:
        """Log how far it is, until it has ended."""
        began = time.monotonic()
        log.info("PULL=%s: fetching %s, %s", self.name, job.plan.reference, _megabytes(job))
        while job.task and not job.task.done():
            await asyncio.wait([job.task], timeout=REPORT_SECONDS)
            if not job.task.done():
                log.info("PULL=%s: %s, %.1f MB/s", self.name, _megabytes(job), job.speed() / 1e6)
        if job.state == "done":
            seconds = time.monotonic() - began
            log.info("PULL=%s: ask for the model %s (%.0f s)", self.name, job.plan.id, seconds)


def _megabytes(job: DownloadJob) -> str:
    return f"{job.arrived / 1e6:,.0f} of {job.plan.size / 1e6:,.0f} MB"
