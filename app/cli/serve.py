"""Starts the server: checks settings and database, binds the port, then prints the addresses."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
import time
from typing import Any

import uvicorn

from app.config import InvalidSetting, Settings, read
from app.config.address import local_url
from app.lifespan.after_start import AfterStart
from app.provider.errors import ModelConflict, ModelNotFound
from app.provider.pool.pool import ModelPool
from app.storage import migrate
from app.storage.database import DatabaseRefused
from app.templates.library import BrokenTemplate
from app.web.auth import require_safe_bind
from app.web.bounds import raise_descriptor_limit
from app.web.errors import OpenBindRefused
from app.web.server import uvicorn_config

log = logging.getLogger(__name__)


BACKLOG = 2048
"""Connections that the system queues until they are accepted."""

ACCEPTED_AT_ONCE = 16
"""asyncio accepts as many as its backlog, before any of them can be refused: far fewer than
SPARE_DESCRIPTORS."""


class CannotListen(Exception):
    """The address is taken, forbidden or not one of this machine; ``str()`` says which."""


def main() -> None:
    """Serve with the settings of the environment; exit with one sentence where that fails."""
    try:
        run(read())
    except (
        InvalidSetting,
        OpenBindRefused,
        DatabaseRefused,
        BrokenTemplate,
        CannotListen,
    ) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:  # the server has shut down properly and raises it again
        sys.exit(128 + signal.SIGINT)


def run(settings: Settings) -> None:
    """Serve until interrupted.

    Raises OpenBindRefused, DatabaseRefused, BrokenTemplate or CannotListen before anything starts.
    """
    require_safe_bind(settings, settings.host)
    bounds = settings.connections(raise_descriptor_limit())
    config = uvicorn_config("app.main:bounded_app", bounds, factory=True, backlog=ACCEPTED_AT_ONCE)
    with bind(settings.host, settings.port) as listener:
        # The port comes first: a server that holds it may be using the database.
        if message := migrate.prepare(settings.database_url):
            announce(message)
        server = Server(
            config, local_url(settings.host, listener.getsockname()[1]), bounds.connections
        )
        server.run([listener])
    if server.failure:
        raise server.failure


def bind(host: str, port: int) -> socket.socket:
    """Bind the port before the slow part of the start; raises CannotListen."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(_why(error, host, port)) from error
    return listener


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use: stop the other program or choose another port, PORT=8001."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights: choose one above 1023, like PORT=8001."
    return f"HOST={host} is not an address of this machine: {error.strerror}."


class Server(uvicorn.Server):
    """Prints its addresses when it listens, and when the default model is ready."""

    def __init__(self, config: uvicorn.Config, root: str, connections: int) -> None:
        super().__init__(config)
        self._root = root
        self._connections = connections
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self.failure: BaseException | None = None
        """Why the API could not be loaded, which ends the server."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the addresses."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)
        announce(addresses(self._root))
        log.info("%d connections may be open at the same time", self._connections)
        state = self.lifespan.state
        after_start: AfterStart = state["after_start"]
        self._tasks = (
            asyncio.create_task(watch(state["pool"], after_start.preloading)),
            asyncio.create_task(self.settle(after_start.loading)),
        )

    async def settle(self, loading: asyncio.Task[Any]) -> None:
        """Wait until everything is loaded, then let the garbage collector pass over that."""
        await asyncio.wait([loading])
        gc.freeze()
        gc.enable()
        if not loading.cancelled() and (error := loading.exception()):
            self.failure, self.should_exit = error, True


def addresses(root: str) -> str:
    """The four addresses to open first."""
    return (
        f"\n  Start here    {root}/\n"
        f"  Try the API   {root}/docs\n"
        f"  Read the API  {root}/redoc\n"
        f"  Health        {root}/health\n\n"
        "Ctrl-C stops the server."
    )


async def watch(pool: ModelPool, preloading: asyncio.Task[None]) -> None:
    """Report on the default model, once it loads, until it is ready or has failed."""
    await asyncio.wait([preloading])
    try:
        model = (await pool.find(None)).id
    except (ModelNotFound, ModelConflict):
        return  # the log says so already
    began = shown = time.monotonic()
    while (state := pool.state(model)) in {"loading", "restarting"}:
        if time.monotonic() - shown >= 5:
            shown = time.monotonic()
            announce(f"Loading {model} … {shown - began:.0f} s")
        await asyncio.sleep(0.05)
    if state == "unloaded":
        return  # it was not loaded, and the log says why; or a request has unloaded it
    problem = pool.health()[model].problem if model in pool.health() else None
    announce(f"{model} failed to load: {problem}" if state == "failed" else f"{model} is ready.")


def announce(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)  # noqa: T201
