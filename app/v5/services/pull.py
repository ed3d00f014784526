"""Downloads as v5 shows them."""

from __future__ import annotations

from collections.abc import Iterable

from app.downloads.download import Download
from app.provider.hub.errors import HubError
from app.storage.timestamps import isoformat
from app.v5.models.pull import PullJob, PullJobs, PullProblem
from app.web.error_codes import kind_of


def pull_jobs(jobs: Iterable[Download]) -> PullJobs:
    """Downloads in the given order."""
    return PullJobs(jobs=[pull_job(job) for job in jobs])


def pull_job(job: Download) -> PullJob:
    """The current state of one download."""
    plan, speed = job.plan, job.speed()
    return PullJob(
        id=job.id,
        name=job.name,
        source=plan.reference,
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
        problem=_problem(job.error),
    )


def _problem(error: Exception | None) -> PullProblem | None:
    if error is None:
        return None
    detail = str(error) if isinstance(error, HubError) else "The server made a mistake."
    return PullProblem(code=kind_of(type(error)).code, detail=detail)
