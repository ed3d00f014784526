"""A running ``vllm serve`` on a unix socket, which ends with the engine process that wants it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from app.provider.engine import EngineSpec
from app.provider.engines.vllm import guard
from app.provider.engines.vllm.command import serve_command, serve_environment
from app.provider.engines.vllm.log_lines import LogLines
from app.provider.errors import ModelNotLoadable
from app.provider.runtime.descendants import inherited

log = logging.getLogger(__name__)

_NO_COMMAND = "It is served by vLLM: set VLLM_COMMAND, which starts vLLM."
_POLL_SECONDS = 0.5
_BEAT_SECONDS = 2.0
"""Between two signs of life while the model is loaded."""
_HEALTH_SECONDS = 5.0
_MOST_SILENT = 12
"""Health checks in a row without an answer, after which the server counts as hung."""
_LONGEST_SOCKET = 100
"""Bytes of a path; a unix socket's may have 104 on macOS and 108 on Linux."""


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class VllmServer:
    """The server of one model: its socket, the key that requests must name, and its processes."""

    def __init__(self, spec: EngineSpec) -> None:
        """Start it; raises ModelNotLoadable where there is no command, and OSError."""
        if not spec.limits.vllm.command:
            raise ModelNotLoadable(_NO_COMMAND, False)
        folder = _private_folder()
        self.socket = folder / "vllm.sock"
        self.key = secrets.token_urlsafe(32)
        self._owner, theirs = socket.socketpair()
        self._lines = LogLines()
        with theirs:
            self._guard = _start(spec, folder, self.socket, self.key, theirs.fileno())
        self._reader = threading.Thread(target=self._read, name="vllm-log", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self._lines.read(self._guard.stdout or ())

    def wait_until_ready(self, progress: Callable[[int], None]) -> None:
        """Return when it answers; raises ModelNotLoadable if it ends before, saying why.

        ``progress`` is called every few seconds; it raises where nobody waits any more. The host
        ends this process where that takes too long.
        """
        beat = 0.0
        while self.health() != 200:
            if (code := self._guard.poll()) is not None:
                self._reader.join(_HEALTH_SECONDS)
                raise self._lines.failure(code)
            if time.monotonic() - beat >= _BEAT_SECONDS:
                beat = time.monotonic()
                progress(self._lines.percent)
            time.sleep(_POLL_SECONDS)

    def health(self) -> int | None:
        """The status of GET /health: 200, or 503 where its engine has died; None: no answer."""
        connection = _UnixConnection(self.socket, _HEALTH_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def end_process_with_it(self) -> None:
        """End this process when the server has ended or does not work any more, in a thread."""
        threading.Thread(target=self._watch, name="vllm-health", daemon=True).start()

    def _watch(self) -> None:
        silent = 0
        while silent < _MOST_SILENT:
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(_HEALTH_SECONDS)
                break
            status = self.health()
            if status == 503:
                break
            silent = 0 if status else silent + 1
        log.error("vLLM has ended or does not work any more: %s", self._lines.reason())
        self.close()
        os._exit(1)

    def close(self) -> None:
        """End all its processes; returns when they have ended."""
        pid = self._pid()
        self._owner.close()
        if self._guard.wait() < 0 and pid:  # killed, so it could not end the others
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _pid(self) -> int:
        """The process id of the server, which leads its group; 0 where it was not started."""
        with suppress(OSError):
            self._owner.settimeout(0)
            if found := self._owner.recv(32).strip():
                return int(found)
        return 0


def _start(
    spec: EngineSpec, folder: Path, path: Path, key: str, owner: int
) -> subprocess.Popen[str]:
    guarded = [sys.executable, "-I", guard.__file__, str(owner), str(folder)]
    try:
        return subprocess.Popen(
            [*guarded, *serve_command(spec, path)],
            env=serve_environment(spec, folder, key),
            pass_fds=(owner, *inherited()),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _private_folder() -> Path:
    """A new folder that only this user may enter, with a path short enough for a socket's."""
    folder = tempfile.mkdtemp(prefix="sllm-")
    if len(os.fsencode(folder)) > _LONGEST_SOCKET - len("/vllm.sock"):
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="sllm-", dir="/tmp")
    return Path(folder)
