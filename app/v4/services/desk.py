"""What a turn needs of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.database import Database
from app.provider.pool import ModelPool
from app.v3.services.templates import TemplateLibrary
from app.v4.services.turn import Bells


@dataclass(frozen=True, slots=True)
class Desk:
    """Store, models, built-in templates; by default ``longest`` messages and ``answer_tokens``."""

    database: Database
    pool: ModelPool
    library: TemplateLibrary
    longest: int
    answer_tokens: int
    bells: Bells = field(default_factory=dict)
