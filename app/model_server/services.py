"""What runs in a model server: the models, and what is done for all API processes once."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

from app.downloads.jobs import DownloadJobs
from app.downloads.remote import ARRIVALS, DOWNLOAD_ERRORS, OfferedDownloads
from app.downloads.remote_pull import PULL
from app.downloads.startup_pull import StartupPull
from app.mcp.identity import VERSION
from app.model_server.config import ServerConfig
from app.provider.catalogue.checksum_jobs import ChecksumJobs
from app.provider.model_server.checksums import CHECKSUM
from app.provider.model_server.server import ModelServer
from app.provider.pool.local_host import LocalModelHost
from app.provider.pool.model_catalogue import ModelCatalogue
from app.provider.types import ModelRef

PULL_SECONDS = 1.0
"""How old the news of the model to pull may be."""


async def serve(config: ServerConfig, listener: socket.socket) -> None:
    """Serve until nobody needs the models any more, or by SIGTERM; then unload them."""
    async with AsyncExitStack() as stack:
        catalogue = ModelCatalogue(config.pool)
        host = LocalModelHost(config.pool, catalogue)
        stack.push_async_callback(host.close)
        server = ModelServer(host, VERSION, DOWNLOAD_ERRORS, config.linger)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.end)
        _offer_checksums(server, catalogue, stack)
        await _offer_downloads(server, catalogue, config, stack)
        await server.serve(listener)


def _offer_checksums(server: ModelServer, catalogue: ModelCatalogue, stack: AsyncExitStack) -> None:
    checksums = ChecksumJobs()
    stack.push_async_callback(checksums.close)

    async def checksum(model: ModelRef, seconds: float) -> str:
        return await checksums.of(await catalogue.resolve(model), seconds) or ""

    server.offer(CHECKSUM, checksum)


async def _offer_downloads(
    server: ModelServer, catalogue: ModelCatalogue, config: ServerConfig, stack: AsyncExitStack
) -> None:
    downloads = DownloadJobs(config.hubs, config.pool.models_dir, _arrival(server, catalogue))
    stack.push_async_callback(downloads.close)
    await downloads.start()
    OfferedDownloads(server, downloads)
    pulling = asyncio.create_task(_pull(server, config.pull, downloads))
    stack.callback(pulling.cancel)


def _arrival(server: ModelServer, catalogue: ModelCatalogue) -> Callable[[], None]:
    """What is done in a thread when a model has arrived: all processes look at the disk."""
    loop, numbers = asyncio.get_running_loop(), itertools.count(1)

    def arrived() -> None:
        catalogue.scan()
        loop.call_soon_threadsafe(server.publish, ARRIVALS, next(numbers))

    return arrived


async def _pull(server: ModelServer, name: str, downloads: DownloadJobs) -> None:
    """Fetch the model that a setting names, and say how far it is."""
    pull = StartupPull(name)
    running = asyncio.create_task(pull.run(downloads))
    try:
        while not running.done():
            server.publish(PULL, pull.progress())
            await asyncio.wait([running], timeout=PULL_SECONDS)
        server.publish(PULL, pull.progress())
    finally:
        running.cancel()
