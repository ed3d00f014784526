"""Services that stored turns depend on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.provider.pool.pool import ModelPool
from app.storage.database import Database
from app.templates.library import TemplateLibrary

StopSignals = dict[str, asyncio.Event]
"""Answer id → what wakes its turn in this process, so that a stop need not wait a heartbeat."""


@dataclass(frozen=True, slots=True)
class ConversationServices:
    """Database, models and built-in templates, and the limits of a turn.

    A model is shown ``max_messages`` before the question and ``max_images`` images of a prompt;
    an answer has ``answer_tokens`` unless the request says otherwise.
    """

    database: Database
    pool: ModelPool
    library: TemplateLibrary
    max_messages: int
    answer_tokens: int
    max_images: int = 8
    stop_signals: StopSignals = field(default_factory=dict)
