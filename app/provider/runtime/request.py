"""What an engine host has in hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.provider import wire
from app.provider.meters import AnswerMeter


@dataclass(slots=True)
class Request:
    """One stream or count in progress: what to send, and where its outcomes go."""

    message: wire.Submit | wire.Count | wire.Greet
    meter: AnswerMeter | None = None
    outcomes: asyncio.Queue[wire.Outcome] = field(default_factory=asyncio.Queue)
    sent: bool = False
    started: bool = False
