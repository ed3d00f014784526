"""What routes hand to ``app.openai.service`` and its like."""

from __future__ import annotations

from functools import partial

from app.dependencies import VisionServices
from app.openai.response_service import ResponseServices
from app.openai.service import ModelServices


def models_of(vision: VisionServices, owner: str) -> ModelServices:
    """The models and templates as ``owner`` has them."""
    conversations = vision.conversations
    find = partial(conversations.find_template, owner)
    return ModelServices(conversations.pool, vision.intake, find, owner)


def response_services(vision: VisionServices, owner: str) -> ResponseServices:
    """The models, conversations and images as ``owner`` has them."""
    return ResponseServices(vision.conversations, vision.intake, owner)
