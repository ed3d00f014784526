"""uvicorn's server, which tells somebody how far it is."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from typing import Any, Protocol

import uvicorn

from app.cli.serving.announcements import watch
from app.cli.serving.listener import BACKLOG
from app.lifespan.after_start import AfterStart

log = logging.getLogger(__name__)


class Reporter(Protocol):
    """Gets the progress of the server: the terminal, or the parent of several processes."""

    def listening(self) -> None:
        """Say that requests are answered from now on."""

    def loaded(self) -> None:
        """Say that everything is loaded but the models."""

    def say(self, text: str) -> None:
        """Pass on a line about the default model."""


class Server(uvicorn.Server):
    """Reports when it listens, when all is loaded, and when the default model is ready."""

    def __init__(self, config: uvicorn.Config, connections: int, reporter: Reporter) -> None:
        super().__init__(config)
        self._connections = connections
        self._reporter = reporter
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self.failure: BaseException | None = None
        """Why the API could not be loaded, which ends the server."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then report it."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)
        self._reporter.listening()
        log.info("%d connections may be open at the same time", self._connections)
        state = self.lifespan.state
        after_start: AfterStart = state["after_start"]
        self._tasks = (
            asyncio.create_task(watch(state["pool"], after_start.preloading, self._reporter.say)),
            asyncio.create_task(self.settle(after_start.loading)),
        )

    async def settle(self, loading: asyncio.Task[Any]) -> None:
        """Wait until everything is loaded, then let the garbage collector pass over that."""
        await asyncio.wait([loading])
        gc.freeze()
        gc.enable()
        if not loading.cancelled() and (error := loading.exception()):
            self.failure, self.should_exit = error, True
        else:
            self._reporter.loaded()
