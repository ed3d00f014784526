"""One engine process and the socket to it, as the API process sees them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
from typing import Any

from app.provider.engine import EngineSpec, environment
from app.provider.errors import EngineUnavailable, ProviderError
from app.provider.runtime import child_process, messages
from app.provider.runtime.load_errors import crash

log = logging.getLogger(__name__)

END_SECONDS = 2.0
"""How long a process that has closed its socket may take to end."""

_SPIN = {"GOMP_SPINCOUNT": "10000"}
# OpenMP's threads spin at every barrier, by default for milliseconds: when another program has a
# core, they spin away the time slice in which it would finish. A tenth of a millisecond is as fast
# on idle cores (a 0.5B model on 2 cores reads 300 tokens in 1.18 s, by default in 1.15, but with a
# tenth of this spin in 1.58) and does not collapse on busy ones (with one core taken a token of one
# answer takes 69 ms and of eight 284; with ten times this spin 508 and 1010).


class EngineProcess:
    """A running child. Ends with ``kill``; every byte it held goes back to the system."""

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._popen = popen
        self._reader = reader
        self._writer = writer
        self.pid = popen.pid

    @classmethod
    async def start(cls, spec: EngineSpec) -> EngineProcess:
        """Start the child and tell it what to load."""
        started = await child_process.start(
            "app.provider.runtime.worker", _SPIN | {**environment(spec.package), **os.environ}
        )
        process = cls(started.popen, started.reader, started.writer)
        process.send(spec)
        return process

    def send(self, message: object) -> None:
        """Send without waiting; a message to a dead child is lost, its end is noticed by read."""
        if not self._writer.is_closing():
            self._writer.write(messages.encode(message))

    async def read(self) -> Any:
        """Next message; None when the child has ended, or sends what cannot be read."""
        try:
            return await messages.read(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except Exception:
            log.exception("a message of engine process %d cannot be read", self.pid)
            self.kill()
            return None

    def kill(self) -> None:
        """End the child now. It has nothing of its own to save."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.kill()

    async def reap(self, grace: float = 0.0) -> int:
        """Close the socket, wait for the child's end and return its exit code.

        A child that is ending by itself has ``grace`` seconds, so that its code says why.
        """
        if grace:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._popen.wait, grace)
        self.kill()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        code = await asyncio.to_thread(self._popen.wait)
        log.debug("engine process %d %s", self.pid, how_it_ended(code))
        return code


def how_it_ended(code: int) -> str:
    """Exit code → words for the log and the user."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def why_it_ended(code: int, *, loading: bool) -> ProviderError:
    """Say what the end of a process means that has given no reason."""
    crashed = crash(code) if loading else None
    then = "while it loaded the model" if loading else "and is being restarted"
    return crashed or EngineUnavailable(f"The engine process {how_it_ended(code)} {then}.", 1.0)
