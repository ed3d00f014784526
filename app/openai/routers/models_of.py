"""What routes hand to ``app.openai.service``."""

from __future__ import annotations

from functools import partial

from app.dependencies import VisionServices
from app.openai.service import ModelServices


def models_of(vision: VisionServices, owner: str) -> ModelServices:
    """The models and templates as ``owner`` has them."""
    conversations = vision.conversations
    find = partial(conversations.find_template, owner)
    return ModelServices(conversations.pool, vision.intake, find, owner)
