"""Tells when the processes that an engine process has started have ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Mapping

VARIABLE = "ENGINE_DESCENDANTS_FD"
"""Environment variable of an engine process: a descriptor that its children inherit."""


class Descendants:
    """The writing end of a pipe that they inherit: the system closes it with the last of them."""

    def __init__(self) -> None:
        self._reading, self.inherited = os.pipe()
        self.environment: Mapping[str, str] = {VARIABLE: str(self.inherited)}

    def started(self) -> None:
        """The engine process has its copy of the descriptor."""
        os.close(self.inherited)

    async def ended(self, seconds: float) -> bool:
        """Wait until all have ended, but no longer than that; returns whether they have."""
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        return bool(await asyncio.to_thread(poll.poll, 1000 * seconds))

    def close(self) -> None:
        """Wait for nobody any more."""
        with contextlib.suppress(OSError):
            os.close(self._reading)


def inherited() -> tuple[int, ...]:
    """What a child of this engine process has to inherit so that its end is waited for."""
    number = os.environ.get(VARIABLE, "")
    return (int(number),) if number else ()
