"""Services that stored turns depend on."""

from __future__ import annotations

from dataclasses import dataclass

from app.conversations.heartbeat import Heartbeat
from app.provider.pool.pool import ModelPool
from app.storage.database import Database
from app.templates.library import TemplateLibrary
from app.templates.rendering import CompiledTemplate
from app.templates.user_templates import find_template


@dataclass(frozen=True, slots=True)
class ConversationServices:
    """Database, models, built-in templates and the heartbeat, and the limits of a turn.

    A model is shown ``max_messages`` before the question and ``max_images`` images of a prompt;
    an answer has ``answer_tokens`` unless the request says otherwise.
    """

    database: Database
    pool: ModelPool
    library: TemplateLibrary
    heartbeat: Heartbeat
    max_messages: int
    answer_tokens: int
    max_images: int = 8

    async def find_template(self, owner: str, name: str) -> CompiledTemplate:
        """The owner's template of that name, or the built-in one; raises TemplateNotFound."""
        return await find_template(self.database, self.library, owner, name)
