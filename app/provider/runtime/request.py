"""What an engine host has in hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.provider.runtime import messages
from app.provider.runtime.metrics import RequestMetrics


@dataclass(slots=True)
class Request:
    """One stream or count in progress: what to send, and where its outcomes go."""

    message: messages.Submit | messages.Count | messages.Ping
    metrics: RequestMetrics | None = None
    outcomes: asyncio.Queue[messages.Outcome] = field(default_factory=asyncio.Queue)
    sent: bool = False
    started: bool = False
