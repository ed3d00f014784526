"""A request in the hands of an engine host."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.provider.errors import ProviderError
from app.provider.runtime import messages
from app.provider.runtime.metrics import RequestMetrics
from app.provider.types import Event, Progress


@dataclass(slots=True)
class Request:
    """One stream or other request in progress: its message, and the queue of its outcomes."""

    message: messages.Submit | messages.Count | messages.Tokenize | messages.Ping
    metrics: RequestMetrics | None = None
    outcomes: asyncio.Queue[messages.Outcome] = field(default_factory=asyncio.Queue)
    sent: bool = False
    started: bool = False

    async def next(self) -> Event | messages.Reply:
        """Wait for the next outcome; raises it where it is an error."""
        outcome = await self.outcomes.get()
        if isinstance(outcome, ProviderError):
            raise outcome
        self.started = self.started or not isinstance(outcome, Progress)
        return outcome
