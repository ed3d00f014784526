"""The models of this machine as an API process has them, when a model server owns them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from app.downloads.remote import DOWNLOAD_ERRORS, RemoteDownloads
from app.downloads.remote_pull import RemoteStartupPull
from app.mcp.identity import VERSION
from app.model_server.config import ServerConfig
from app.model_server.launch import dial
from app.provider.model_server.checksums import RemoteChecksums
from app.provider.model_server.client import ModelServerClient
from app.provider.model_server.counters import Totals
from app.provider.model_server.remote_host import RemoteModelHost
from app.provider.pool.hardware import physical_cores


class SharedRuntime:
    """A connection to the model server of ``config``, which is started where none runs.

    A server that has had an ``owner`` ends when the last of them has gone. Belongs to one event
    loop.
    """

    def __init__(self, config: ServerConfig, *, owner: bool = False) -> None:
        self._client = ModelServerClient(
            partial(dial, config), VERSION, owner=owner, errors=DOWNLOAD_ERRORS
        )
        limits = config.pool.limits
        self.host = RemoteModelHost(
            self._client, replace(limits, threads=limits.threads or physical_cores())
        )
        self.downloads = RemoteDownloads(self._client)
        self.pull = RemoteStartupPull(config.pull, self._client)
        self.checksums = RemoteChecksums(self._client)

    def start(self) -> None:
        """Begin to connect, and to connect again whenever the connection ends."""
        self._client.start()

    async def connected(self) -> None:
        """Wait for the connection; raises EngineUnavailable where it cannot be made."""
        await self._client.connected()

    async def close(self) -> None:
        """Leave the server."""
        await self._client.close()

    async def exchange(self, counters: Mapping[str, float], gauges: Mapping[str, float]) -> Totals:
        """Report the figures of this process, and learn those of all; raises EngineUnavailable."""
        return await self._client.exchange(counters, gauges)

    def notify(self, topic: str, text: str) -> None:
        """Say something to all other API processes, at most once."""
        self._client.notify(topic, text)

    def listen(self, topic: str, take: Callable[[str], None]) -> None:
        """Pass on what other API processes say under that topic."""
        self._client.listen(topic, take)
