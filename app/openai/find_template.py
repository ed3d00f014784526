"""Finds the prompt template of ``model@template``."""

from __future__ import annotations

from functools import partial

from app.chat.model_choice import FindTemplate
from app.conversations.services import ConversationServices
from app.templates.user_templates import find_template


def finder(services: ConversationServices, owner: str) -> FindTemplate:
    """Finds templates of this owner, and built-in ones."""
    return partial(find_template, services.database, services.library, owner)
