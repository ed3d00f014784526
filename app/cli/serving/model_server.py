"""The model server of several processes, as their parent owns it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter

from app.cli.serving.errors import ServingFailed
from app.model_server.config import ServerConfig
from app.model_server.shared_runtime import SharedRuntime
from app.monitoring.group_figures import GroupFigures
from app.provider.errors import EngineUnavailable
from app.provider.model_server.endpoint import Endpoint

log = logging.getLogger(__name__)

END_SECONDS = 10.0
PAUSE = 0.02


class OwnedModelServer:
    """Starts it, and again when it has died; it ends with its owner.

    The figures of this process count among those that are exported.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._shared = SharedRuntime(config, owner=True)
        self._figures = GroupFigures(self._shared.exchange, Counter())

    async def start(self) -> None:
        """Start it; raises ServingFailed."""
        self._shared.start()
        try:
            await self._shared.connected()
        except EngineUnavailable as error:
            raise ServingFailed(str(error)) from error
        self._figures.start()

    async def close(self) -> None:
        """End it, and wait until its engines have ended as well."""
        await self._figures.close()
        await self._shared.close()
        await asyncio.to_thread(self._wait_until_ended)

    def _wait_until_ended(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        while not self._has_ended():
            if time.monotonic() > deadline:
                log.warning("the model server has not ended within %.0f s", END_SECONDS)
                return
            time.sleep(PAUSE)

    def _has_ended(self) -> bool:
        try:
            descriptor = Endpoint(self._config.name).lock()
        except OSError:  # it could not be started at all
            return True
        if descriptor is None:
            return False
        os.close(descriptor)
        return True
