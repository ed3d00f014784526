"""Pulling models from a hub."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request, Response

from app.dependencies import ADMIN_ONLY, JSON_ONLY, AppSettings, Pulls
from app.downloads.errors import PullNotAllowed
from app.v5.models.pull import EXAMPLES, PullJob, PullJobs, PullRequest
from app.v5.services import pull as downloads
from app.web.disconnect import unless_disconnected
from app.web.openapi import COMMON_ERRORS, problems

router = APIRouter(tags=["models"])

JobId = Annotated[str, Path(description="Of the download.")]

STARTED: dict[int | str, dict[str, Any]] = {
    202: {
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "Where to see how far it is."}
        }
    }
}


@router.post(
    "/models/pull",
    status_code=202,
    response_description="The download, begun or found running",
    responses=problems(*COMMON_ERRORS, 400, 404, 409, 413, 415, 422, 429, 502, 507, version=5)
    | STARTED,
    dependencies=[ADMIN_ONLY, JSON_ONLY],
    summary="Download a model from the hub",
)
async def pull(
    body: Annotated[PullRequest, Body(openapi_examples=EXAMPLES)],
    pulls: Pulls,
    settings: AppSettings,
    request: Request,
    response: Response,
) -> PullJob:
    """Begin to download a model into the models folder, where it shows when it is whole.

    The hub is asked first, so what it does not have, or refuses, and what would not fit onto the
    disk, is told here. Asking for a model that is being downloaded finds that download.
    """
    if not settings.allow_pull:
        raise PullNotAllowed("This server pulls no models for clients (the setting ALLOW_PULL).")
    job = await unless_disconnected(request.receive, pulls.begin(body.name))
    response.headers["Location"] = f"{request.url.path}/{job.id}"
    return downloads.pull_job(job)


@router.get(
    "/models/pull",
    response_description="The downloads",
    responses=problems(*COMMON_ERRORS, version=5),
    summary="List the downloads",
)
async def pull_jobs(pulls: Pulls) -> PullJobs:
    """List the downloads since the server's start, the latest first."""
    return downloads.pull_jobs(await pulls.jobs())


@router.get(
    "/models/pull/{job}",
    response_description="The download",
    responses=problems(*COMMON_ERRORS, 404, version=5),
    summary="See how far a download is",
)
async def pull_job(job: JobId, pulls: Pulls) -> PullJob:
    """Tell how many bytes have arrived, how fast, and how long it will take."""
    return downloads.pull_job(await pulls.job(job))


@router.delete(
    "/models/pull/{job}",
    response_description="The download as it ended",
    responses=problems(*COMMON_ERRORS, 404, version=5),
    dependencies=[ADMIN_ONLY],
    summary="Cancel a download",
)
async def cancel_pull(job: JobId, pulls: Pulls) -> PullJob:
    """End a download. What has arrived stays, for the next time the model is asked for.

    Nothing happens to one that has ended.
    """
    return downloads.pull_job(await pulls.cancel(job))
