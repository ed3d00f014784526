"""One engine process and the socket to it, as the API process sees them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import subprocess

from app.provider.engine import EngineSpec, environment, starts_processes, worker_module
from app.provider.errors import EngineUnavailable, ProviderError
from app.provider.runtime import child_process, messages
from app.provider.runtime.descendants import Descendants
from app.provider.runtime.frames import ProtocolViolation
from app.provider.runtime.load_errors import crash

log = logging.getLogger(__name__)

END_SECONDS = 2.0
"""How long a process that has closed its socket may take to end."""

_DESCENDANTS_SECONDS = 30.0
"""How long the processes that it has started may take to end after it."""

_SPIN = {"GOMP_SPINCOUNT": "30000"}
# OpenMP threads spin at every barrier, by default for milliseconds. When another program uses a
# core, they spin through the time slice that it would need. A spin of about 0.3 ms is just longer
# than what we do between two steps: with a third of it the threads of a small model sleep and are
# woken seven times a step (SmolLM2 on 2 cores, one answer: 9.4 ms a token; so 8.1, llama-server
# 7.9). The price: with one core busy, a token of a 0.5B model takes twice as long for one answer
# (0.24 s) and a third longer for eight; with ten times the spin it would be seven times as long.


_BY_BUS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""CUDA numbers GPUs as the driver does, whose memory is counted, and not the fastest first."""


SECRET_NAME = re.compile(r"(^|_)(KEYS?|TOKENS?|SECRETS?|PASSWORD|CREDENTIALS|DATABASE_URL)$")
"""Names of variables that no engine needs: it reads files of strangers."""


def _environment(spec: EngineSpec) -> dict[str, str]:
    """The environment variables of an engine's process; those of this process win."""
    ours = {name: value for name, value in os.environ.items() if not SECRET_NAME.search(name)}
    variables = {**_SPIN, **environment(spec.package), **ours}
    if devices := spec.limits.gpu_devices:
        return {**_BY_BUS, **variables, "CUDA_VISIBLE_DEVICES": devices}
    if not variables.get("CUDA_VISIBLE_DEVICES"):
        variables.pop("CUDA_VISIBLE_DEVICES", None)  # empty means all to us, and none to CUDA
    return variables


class EngineProcess:
    """A running engine process. ``kill`` ends it and frees all its memory."""

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        descendants: Descendants | None = None,
    ) -> None:
        self._popen = popen
        self._reader = reader
        self._writer = writer
        self._descendants = descendants
        self.pid = popen.pid

    @classmethod
    async def start(cls, spec: EngineSpec) -> EngineProcess:
        """Start the process and send it the model to load."""
        descendants = Descendants() if starts_processes(spec.package) else None
        try:
            started = await _start(spec, descendants)
        finally:
            if descendants:
                descendants.started()
        process = cls(started.popen, started.reader, started.writer, descendants)
        process.send(messages.Load(spec))
        return process

    def send(self, message: messages.ToEngine) -> None:
        """Send without waiting. A message to a dead process is lost; ``read`` notices its end."""
        if not self._writer.is_closing():
            self._writer.write(messages.encode(message))

    async def read(self) -> messages.Received | None:
        """Read the next message; None when the process has ended or sent an unreadable one."""
        try:
            return await messages.read(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except ProtocolViolation as violation:
            log.error("engine process %d sent what it may not: %s", self.pid, violation)
            self.kill()
            return None

    def kill(self) -> None:
        """End the process now. It has nothing to save."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.kill()

    async def _wait_for_descendants(self) -> None:
        """Return when the processes that it has started have ended, so that their bytes are free.

        They end by themselves; here is only waited for that.
        """
        if self._descendants is None:
            return
        if not await self._descendants.ended(_DESCENDANTS_SECONDS):
            log.error("processes that engine process %d has started do not end", self.pid)
        self._descendants.close()

    async def reap(self, grace: float = 0.0) -> int:
        """Close the socket, wait for the end of the process and return its exit code.

        A process that ends by itself has ``grace`` seconds, so that its exit code says why.
        """
        if grace:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._popen.wait, grace)
        self.kill()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        code = await asyncio.to_thread(self._popen.wait)
        await self._wait_for_descendants()
        log.debug("engine process %d %s", self.pid, how_it_ended(code))
        return code


async def _start(spec: EngineSpec, descendants: Descendants | None) -> child_process.Child:
    module, variables = worker_module(spec.package), _environment(spec)
    if descendants is None:
        return await child_process.start(module, variables)
    variables |= descendants.environment
    try:
        return await child_process.start(module, variables, inherited=(descendants.inherited,))
    except BaseException:
        descendants.close()
        raise


def how_it_ended(code: int) -> str:
    """Describe an exit code for the log and the user."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def why_it_ended(code: int, *, loading: bool) -> ProviderError:
    """Make an error of the end of a process that has given no reason."""
    crashed = crash(code) if loading else None
    then = "while it loaded the model" if loading else "and is being restarted"
    return crashed or EngineUnavailable(f"The engine process {how_it_ended(code)} {then}.", 1.0)
