"""What a turn needs of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.conversations.turn import Bells
from app.provider.pool.pool import ModelPool
from app.storage.database import Database
from app.templates.library import TemplateLibrary


@dataclass(frozen=True, slots=True)
class Desk:
    """Store, models, built-in templates.

    By default ``longest`` messages and ``answer_tokens``; at most ``images`` in a prompt.
    """

    database: Database
    pool: ModelPool
    library: TemplateLibrary
    longest: int
    answer_tokens: int
    images: int = 8
    bells: Bells = field(default_factory=dict)
