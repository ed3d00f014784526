"""The model of the setting PULL, where the model server fetches it: once, for all API processes."""

from __future__ import annotations

import asyncio
from typing import Any

from app.downloads.startup_pull import PullProgress, PullState, shown
from app.provider.model_server.client import ModelServerClient
from app.provider.model_server.protocol import Topic

PULL = Topic("pull", PullProgress)


class RemoteStartupPull:
    """What the model server has said last of the model to pull; without a ``name`` it is done."""

    def __init__(self, name: str, client: ModelServerClient) -> None:
        self.name = name
        self._progress = PullProgress("pulling" if name else "done")
        self._ended = asyncio.Event()
        client.subscribe(PULL, self._take)

    @property
    def state(self) -> PullState:
        """Whether it has arrived."""
        return self._progress.state

    def _take(self, progress: PullProgress) -> None:
        self._progress = progress
        if progress.state != "pulling":
            self._ended.set()

    def shown(self) -> dict[str, Any]:
        """The part of ``/health`` about it."""
        return shown(self.name, self._progress)

    async def ended(self) -> None:
        """Wait until it has arrived, or cannot."""
        if self.name:
            await self._ended.wait()
