"""Downloads as routes see them, whichever process runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from app.provider.hub.plan import Plan

DownloadState = Literal["queued", "running", "done", "failed", "cancelled"]


class Download(Protocol):
    """One download of a model, as of now.

    ``arrived`` is in bytes. ``error`` is set only if the state is ``failed``.
    """

    id: str
    name: str
    plan: Plan
    created_at: float
    state: DownloadState
    arrived: int
    error: Exception | None

    def speed(self) -> float:
        """Bytes per second over the last seconds; 0 unless the download is running."""


class Downloads(Protocol):
    """All downloads since the start."""

    async def begin(self, name: str) -> Download:
        """Begin to download the model of that name, or find the download that is open for it.

        Raises NotOnHub, NotAllowed, HubUnreachable, NoSpace, NameTaken or TooManyPulls.
        """

    async def jobs(self) -> Sequence[Download]:
        """List the downloads, the latest first."""

    async def job(self, job_id: str) -> Download:
        """Find a download; raises PullNotFound."""

    async def cancel(self, job_id: str) -> Download:
        """End a download unless it has ended; raises PullNotFound."""
