"""A running ``vllm serve`` on a unix socket, which ends with the engine process that wants it."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.provider.engine import EngineSpec
from app.provider.engines.vllm import guard
from app.provider.engines.vllm.command import serve_command, serve_environment
from app.provider.engines.vllm.log_lines import LogLines
from app.provider.errors import ModelNotLoadable
from app.provider.runtime.descendants import inherited

_NO_COMMAND = "It is served by vLLM: set VLLM_COMMAND, which starts vLLM."
_POLL_SECONDS = 0.5
_WATCH_SECONDS = 0.1
_BEAT_SECONDS = 2.0
"""Between two signs of life while the model is loaded."""
_HEALTH_SECONDS = 2.0
"""Between two health checks."""
_ANSWER_SECONDS = 5.0
_MOST_SILENT = 12
"""Health checks in a row without an answer, after which the server counts as hung."""
_LONGEST_SOCKET = 100
"""Bytes of a path; a unix socket's may have 104 on macOS and 108 on Linux."""
_SOCKET = "vllm.sock"
_HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class VllmServer:
    """The server of one model: its socket, the key that requests must name, and its processes."""

    unix_socket: Path
    key: str
    _guard: Process
    _owner: socket.socket
    _lines: LogLines
    _reading: asyncio.Task[None]

    @classmethod
    async def start(cls, spec: EngineSpec) -> VllmServer:
        """Start it; raises ModelNotLoadable where there is no command, and OSError."""
        if not spec.limits.vllm.command:
            raise ModelNotLoadable(_NO_COMMAND, False)
        folder = _private_folder()
        key = secrets.token_urlsafe(32)
        ours, theirs = socket.socketpair()
        guard.adopt_orphans()  # those of a guard that was killed
        try:
            with theirs:
                process = await _start_guard(spec, folder, key, theirs.fileno())
        except BaseException:
            ours.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        lines = LogLines()
        reading = asyncio.create_task(_read(process, lines))
        return cls(folder / _SOCKET, key, process, ours, lines, reading)

    async def wait_until_ready(self, progress: Callable[[int], None]) -> None:
        """Return when it answers; raises ModelNotLoadable if it ends before, saying why.

        ``progress`` is called every few seconds. The host ends this process where that takes too
        long.
        """
        beat = 0.0
        while await self.health() != 200:
            if self._guard.returncode is not None:
                await asyncio.wait([self._reading], timeout=_ANSWER_SECONDS)
                raise self._lines.failure(self._guard.returncode)
            if time.monotonic() - beat >= _BEAT_SECONDS:
                beat = time.monotonic()
                progress(self._lines.percent)
            await asyncio.sleep(_POLL_SECONDS)

    async def health(self) -> int | None:
        """The status of GET /health: 200, or 503 where its engine has died.

        0: nobody listens; None: there is no answer.
        """
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self.unix_socket))
                try:
                    writer.write(_HEALTH)
                    return int((await reader.readline()).split()[1])
                finally:
                    writer.close()
        except (ConnectionRefusedError, FileNotFoundError):
            return 0
        except (OSError, TimeoutError, ValueError, IndexError):
            return None

    async def wait_for_failure(self) -> str:
        """Return when it has ended or does not work any more, saying why."""
        silent = 0
        while silent < _MOST_SILENT:
            if await self._ended(_HEALTH_SECONDS):
                code = self._guard.returncode
                return f"vLLM ended with exit code {code}: {self._lines.reason()}"
            status = await self.health()
            if status in {0, 503}:
                return f"vLLM does not work any more: {self._lines.reason()}"
            silent = 0 if status else silent + 1
        return "vLLM does not answer any more."

    async def close(self) -> None:
        """End all its processes; returns when they have ended."""
        pid = self._pid()
        self._owner.close()
        await self._ended(math.inf)
        if (self._guard.returncode or 0) < 0:  # it was killed, so it could not end the others
            guard.kill_group(pid)
            guard.kill_orphans()
            shutil.rmtree(self.unix_socket.parent, ignore_errors=True)
        self._reading.cancel()

    async def _ended(self, seconds: float) -> bool:
        """Wait for the guard's end, but no longer than that; returns whether it has ended.

        ``Process.wait`` also waits for whoever else holds its output.
        """
        end = time.monotonic() + seconds
        while self._guard.returncode is None and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_WATCH_SECONDS)
        return self._guard.returncode is not None

    def _pid(self) -> int:
        """The process id of the server, which leads its group; 0 where it was not started."""
        with suppress(OSError, ValueError):
            self._owner.settimeout(0)
            return int(self._owner.recv(32))
        return 0


async def _read(process: Process, target: LogLines) -> None:
    """Read what it writes to the end; bars of progress come without an end of the line."""
    if (output := process.stdout) is None:
        return
    rest = ""
    while block := await output.read(2**16):
        *lines, rest = (rest + block.decode(errors="replace")).replace("\r", "\n").split("\n")
        target.read(lines)
        rest = rest[-(2**16) :]
    target.read([rest])


async def _start_guard(spec: EngineSpec, folder: Path, key: str, owner: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-I", guard.__file__, str(owner), str(folder)],
        *serve_command(spec, folder / _SOCKET),
        env=serve_environment(spec, folder, key),
        pass_fds=(owner, *inherited()),
        start_new_session=True,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )


def _private_folder() -> Path:
    """A new folder that only this user may enter, with a path short enough for a socket's."""
    folder = tempfile.mkdtemp(prefix="sllm-")
    if len(os.fsencode(folder)) > _LONGEST_SOCKET - len(f"/{_SOCKET}"):
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="sllm-", dir="/tmp")
    return Path(folder)
