"""The server that calls go to: a running one, or one that is started for this host alone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from app.cli.attached import COMMAND
from app.cli.server_address import Address, named, of_settings

PAUSE = 0.1
EVERY = 3.0
"""Seconds between looks for the server, and between reports that it is not there yet."""
SILENCE = 60.0
"""Seconds; the server sends something every 15 while it works."""
RIVAL = 3.0
"""Seconds after which a server that has ended has failed; before, another program may have taken
the port and be starting as well."""
STOPPING = 10.0


class Unreachable(Exception):
    """There is no server, and none could be started; ``str()`` says why."""


def configured() -> Address:
    """That of the environment, or of the settings of this project.

    Raises Unreachable for settings that are no settings.
    """
    if found := named():
        return found
    from app.config import InvalidSetting, read  # noqa: PLC0415 - the first answer needs none

    try:
        return of_settings(read())
    except InvalidSetting as error:
        raise Unreachable(str(error)) from error


class Target:
    """The server; it is looked for when it is needed, and started if nobody else has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._address: Address | None = None
        self._started: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._closed = False

    def prepare(self) -> None:
        """Have a server ready; a call will say what was wrong."""
        with suppress(Unreachable):
            self.ready(lambda: None)

    def ready(self, waiting: Callable[[], None]) -> None:
        """Return when the server answers, calling ``waiting`` now and then; raises Unreachable."""
        reported = 0.0
        while not self._is_there():
            if time.monotonic() - reported > EVERY:
                reported = time.monotonic()
                waiting()
            self._start_if_needed()
            time.sleep(PAUSE)

    @property
    def address(self) -> Address:
        """Where it is; raises Unreachable."""
        with self._lock:
            if self._address is None:
                self._address = configured()
            return self._address

    @property
    def path(self) -> str:
        """That of the endpoint."""
        return f"{urlsplit(self.address.url).path}/mcp"

    def headers(self) -> dict[str, str]:
        """Those that name the key, if there is one."""
        key = self.address.key
        return {"Authorization": f"Bearer {key}"} if key else {}

    def connection(self, timeout: float = SILENCE) -> HTTPConnection:
        """A connection to the server, not yet open."""
        parts = urlsplit(self.address.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout)

    def close(self) -> None:
        """End the server if it was started here; its models leave the memory."""
        with self._lock:
            self._closed = True
            started, self._started = self._started, None
        if started and started.stdin:
            started.stdin.close()  # what tells it to end
            with suppress(subprocess.TimeoutExpired):
                started.wait(STOPPING)

    def _is_there(self) -> bool:
        connection = self.connection(timeout=5)
        try:
            connection.request("GET", f"{urlsplit(self.address.url).path}/health")
            connection.getresponse().read()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
        return True

    def _start_if_needed(self) -> None:
        if not self.address.local:
            raise Unreachable(f"The server at {self.address.url} cannot be reached.")
        with self._lock:
            if self._closed:
                raise Unreachable("The connection is closed.")
            if self._started is None:
                self._started, self._began = _start(), time.monotonic()
            elif (status := self._started.poll()) is not None and self._age() > RIVAL:
                self._started = None
                raise Unreachable(
                    f"The server did not start (status {status}); its last lines on the standard "
                    "error of this command say why."
                )

    def _age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began


def _start() -> subprocess.Popen[bytes]:
    """Start one whose input is a pipe from here: it ends when the pipe does, even after kill -9."""
    return subprocess.Popen([sys.executable, *COMMAND], stdin=subprocess.PIPE, stdout=2)
