"""Whether calls are stopped: of an engine that stands still none ends by itself."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

import httpx
import psutil

from tests.suspending import standing_still

ENDLESS = {"message": "hi", "model": "echo"}


@dataclass(frozen=True)
class EchoServer:
    """A server with the one model echo, and the process of its engine."""

    client: httpx.Client
    engine: psutil.Process

    def standing_still(self) -> AbstractContextManager[None]:
        """The engine does nothing within the context."""
        return standing_still(self.engine)

    def active(self) -> int:
        """Requests that the engine has, or will have."""
        model = self.client.get("/health").json()["models"]["echo"]
        count: int = model["active"] + model["waiting"]
        return count

    async def wait_until(self, wanted: int) -> None:
        """Wait until it has so many."""
        deadline = time.monotonic() + 60
        while (found := await asyncio.to_thread(self.active)) != wanted:
            assert time.monotonic() < deadline, f"{found} requests"
            await asyncio.sleep(0.01)
