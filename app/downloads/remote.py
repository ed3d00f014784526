"""Downloads that the model server runs, for all API processes: both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.downloads.download import Download, Downloads, DownloadState
from app.downloads.errors import PullNotFound, TooManyPulls
from app.provider.hub.errors import HubError
from app.provider.hub.plan import Plan
from app.provider.model_server.client import ModelServerClient
from app.provider.model_server.protocol import Method, Topic
from app.provider.model_server.server import ModelServer
from app.provider.runtime.failures import ErrorTable, Failure, Kinds, Sentence
from app.provider.types import Count, Value

DOWNLOAD_ERRORS: Kinds = {
    **dict.fromkeys((HubError, *HubError.__subclasses__()), tuple[Sentence]),
    ValueError: tuple[Sentence],
    RuntimeError: tuple[Sentence],
    PullNotFound: tuple[Sentence],
    TooManyPulls: tuple[Count],
}

_ERRORS = ErrorTable(DOWNLOAD_ERRORS)


class DownloadReport(Value, frozen=True):
    """A download at one moment."""

    id: str
    name: str
    plan: Plan
    created_at: float
    state: DownloadState
    arrived: Count
    bytes_per_second: float
    failure: Failure | None


BEGIN = Method("begin_download", tuple[str], DownloadReport)
LIST = Method("list_downloads", tuple[()], list[DownloadReport])
FIND = Method("find_download", tuple[str], DownloadReport)
CANCEL = Method("cancel_download", tuple[str], DownloadReport)

ARRIVALS = Topic("arrivals", int)
"""How many models have arrived: whoever hears of one looks at the disk."""


@dataclass(slots=True)
class RemoteDownload:
    """A download as the model server has reported it."""

    id: str
    name: str
    plan: Plan
    created_at: float
    state: DownloadState
    arrived: int
    error: Exception | None
    bytes_per_second: float

    def speed(self) -> float:
        """Bytes per second over the last seconds before the report."""
        return self.bytes_per_second

    @classmethod
    def of(cls, report: DownloadReport) -> RemoteDownload:
        """Make it of a report."""
        return cls(
            report.id,
            report.name,
            report.plan,
            report.created_at,
            report.state,
            report.arrived,
            _ERRORS.error_of(report.failure) if report.failure else None,
            report.bytes_per_second,
        )


class RemoteDownloads:
    """The downloads of the model server, the same for all API processes.

    ``arrived``, if it is set, is called in a thread when a model has been moved into the models
    folder; a download is not reported as done before.
    """

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._looking: asyncio.Task[object] | None = None
        self.arrived: Callable[[], object] | None = None
        client.subscribe(ARRIVALS, self._look)

    def _look(self, _: int) -> None:
        if self.arrived:
            self._looking = asyncio.create_task(asyncio.to_thread(self.arrived))

    async def begin(self, name: str) -> RemoteDownload:
        """Begin a download, or find the one that is open; as ``Downloads.begin``."""
        return await self._reported(await self._client.call(BEGIN, name))

    async def jobs(self) -> list[RemoteDownload]:
        """List the downloads, the latest first."""
        return [await self._reported(one) for one in await self._client.call(LIST)]

    async def job(self, job_id: str) -> RemoteDownload:
        """Find a download; raises PullNotFound."""
        return await self._reported(await self._client.call(FIND, job_id))

    async def cancel(self, job_id: str) -> RemoteDownload:
        """End a download unless it has ended; raises PullNotFound."""
        return await self._reported(await self._client.call(CANCEL, job_id))

    async def _reported(self, report: DownloadReport) -> RemoteDownload:
        if self._looking:
            await asyncio.wait([self._looking])
        return RemoteDownload.of(report)


class OfferedDownloads:
    """Lets the clients of a model server use ``downloads``."""

    def __init__(self, server: ModelServer, downloads: Downloads) -> None:
        self._downloads = downloads
        server.offer(BEGIN, self._begin)
        server.offer(LIST, self._list)
        server.offer(FIND, self._find)
        server.offer(CANCEL, self._cancel)

    async def _begin(self, name: str) -> DownloadReport:
        return _report(await self._downloads.begin(name))

    async def _list(self) -> list[DownloadReport]:
        return [_report(job) for job in await self._downloads.jobs()]

    async def _find(self, job_id: str) -> DownloadReport:
        return _report(await self._downloads.job(job_id))

    async def _cancel(self, job_id: str) -> DownloadReport:
        return _report(await self._downloads.cancel(job_id))


def _report(job: Download) -> DownloadReport:
    return DownloadReport(
        job.id,
        job.name,
        job.plan,
        job.created_at,
        job.state,
        job.arrived,
        job.speed(),
        _failure(job.error) if job.error else None,
    )


def _failure(error: Exception) -> Failure:
    known = type(error) in DOWNLOAD_ERRORS
    return _ERRORS.describe(error if known else RuntimeError("The server made a mistake."))
