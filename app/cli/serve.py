"""Starts the server: checks settings and database, binds the port, then prints the addresses."""

from __future__ import annotations

import signal
import socket
import sys

from app.cli.serving.announcements import addresses, announce
from app.cli.serving.errors import ServingFailed
from app.cli.serving.listener import ACCEPTED_AT_ONCE, CannotListen, bind
from app.cli.serving.server import Server
from app.config import InvalidSetting, Settings, read
from app.config.address import local_url
from app.storage import migrate
from app.storage.database import DatabaseRefused
from app.templates.library import BrokenTemplate
from app.web.auth import require_safe_bind
from app.web.bounds import raise_descriptor_limit
from app.web.errors import OpenBindRefused
from app.web.server import uvicorn_config


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
        ServingFailed,
    ) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:  # the server has shut down properly and raises it again
        sys.exit(128 + signal.SIGINT)


def run(settings: Settings) -> None:
    """Serve until interrupted.

    Raises OpenBindRefused, DatabaseRefused, BrokenTemplate or CannotListen before anything starts,
    and ServingFailed where one of several processes cannot start.
    """
    require_safe_bind(settings, settings.host)
    with bind(settings.host, settings.port) as listener:
        # The port comes first: a server that holds it may be using the database.
        if message := migrate.prepare(settings.database_url):
            announce(message)
        if settings.shares_models:
            from app.cli.serving.supervisor import supervise  # noqa: PLC0415 — one process has none

            supervise(settings, listener)
        else:
            _serve(settings, listener)


def _serve(settings: Settings, listener: socket.socket) -> None:
    bounds = settings.connections(raise_descriptor_limit())
    config = uvicorn_config("app.main:bounded_app", bounds, factory=True, backlog=ACCEPTED_AT_ONCE)
    root = local_url(settings.host, listener.getsockname()[1])
    server = Server(config, bounds.connections, Terminal(root))
    server.run([listener])
    if server.failure:
        raise server.failure


class Terminal:
    """Prints how far the server is."""

    def __init__(self, root: str) -> None:
        self._root = root

    def listening(self) -> None:
        """Print the addresses."""
        announce(addresses(self._root))

    def loaded(self) -> None:
        """Print nothing: the model is what one waits for."""

    def say(self, text: str) -> None:
        """Print a line."""
        announce(text)
