"""What is loaded after the start: the routes of all dialects and the services that only they use.

A server that is only asked for its health needs none of it, and importing it takes longer than the
rest of the start. A request to the API that comes earlier waits for it; see ``WaitForServices``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from app.dialects.table import owner_of_request
from app.downloads.download import Downloads
from app.downloads.startup_pull import StartupPull
from app.lifespan.core import Core
from app.provider.errors import ProviderError
from app.provider.pool.pool import ModelPool
from app.storage.database import Database

if TYPE_CHECKING:
    from app.downloads.jobs import DownloadJobs
    from app.lifespan.services import Services
    from app.model_server.shared_runtime import SharedRuntime

log = logging.getLogger(__name__)

HEAD_START_SECONDS = 0.1
"""What comes first, mostly a health check, need not share a core with the loading."""


Start = Callable[
    [Core, Database, ModelPool, AsyncExitStack, "SharedRuntime | None"], Awaitable["Services"]
]


def _import_services() -> Start:
    from app.lifespan import services  # noqa: PLC0415 — this is the "after the start"

    return services.start


class AfterStart:
    """Loads the rest just after the start, or as soon as a request needs it.

    ``shared``: the model server that does for all API processes what is done once.
    """

    def __init__(
        self, core: Core, database: Database, pool: ModelPool, shared: SharedRuntime | None = None
    ) -> None:
        self._core = core
        self._database = database
        self._pool = pool
        self._shared = shared
        self._stack = AsyncExitStack()
        self._wanted = asyncio.Event()
        self.pull = shared.pull if shared else StartupPull(core.settings.pull)
        self._pulling: asyncio.Task[None] | None = None
        self._begin()
        self.preloading = asyncio.create_task(self._preload())

    def _begin(self) -> None:
        self._starting = asyncio.create_task(self._start())
        self._versions = asyncio.create_task(self._load_versions())
        self.loading = asyncio.create_task(self._load())

    async def services(self, *, dialects: bool = True) -> Services:
        """The services, once they have been started; raises what their start raised.

        The routes of all versions have been loaded then, and those of ``dialects`` if they are
        needed. A start that has failed is tried again: the database may be back.
        """
        self._wanted.set()
        if self.loading.done() and self.loading.exception():
            failed, self._stack = self._stack, AsyncExitStack()
            self._begin()
            await failed.aclose()
        return await asyncio.shield(self.loading if dialects else self._versions)

    async def close(self) -> None:
        """Close the services. Loading is finished first: a thread cannot be stopped half-way."""
        self.preloading.cancel()
        if self._pulling:
            self._pulling.cancel()
        self._wanted.set()
        await asyncio.gather(self._versions, self.loading, self.preloading, return_exceptions=True)
        await self._stack.aclose()

    async def _start(self) -> Services:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), HEAD_START_SECONDS)
        start = await asyncio.to_thread(_import_services)
        services = await start(self._core, self._database, self._pool, self._stack, self._shared)
        if self._pulling is None:
            self._pulling = asyncio.create_task(self._pull(services["downloads"]))
        return services

    async def _pull(self, downloads: Downloads) -> None:
        """Fetch the model that a setting names, or wait until the model server has done so."""
        if isinstance(self.pull, StartupPull):
            await self.pull.run(cast("DownloadJobs", downloads))
        else:
            await self.pull.ended()

    async def _load_versions(self) -> Services:
        services = await self._starting
        for router in self._core.versions:
            await asyncio.to_thread(router.load)
        return services

    async def _load(self) -> Services:
        services = await self._versions
        for router in self._core.dialects:
            await asyncio.to_thread(router.load)
        return services

    async def _preload(self) -> None:
        """Load the default model while the server is up: requests see how far the load is."""
        await asyncio.wait([self._starting])  # which puts models back that an update had moved
        if self._pulling:
            await self._pulling
        try:
            card = await asyncio.to_thread(self._pool.card, None)
            await self._pool.preload(card.id)
        except ProviderError as error:
            log.warning("no model is loaded: %s", error)


class WaitForServices:
    """ASGI middleware: gives each request to the API the services, when they have been started."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] == "http":
            of_dialect = owner_of_request(scope) is not None
            # Not "starts with": behind a proxy the path may begin with another prefix.
            if of_dialect or "/api/" in scope["path"]:
                after_start: AfterStart = scope["state"]["after_start"]
                scope["state"].update(await after_start.services(dialects=of_dialect))
        await self.app(scope, receive, send)
