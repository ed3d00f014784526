"""What routes hand to ``app.openai.service`` and its like."""

from __future__ import annotations

from functools import partial

from app.dependencies import VisionServices
from app.openai.response_service import ResponseServices


def services_of(vision: VisionServices, owner: str) -> ResponseServices:
    """The models, templates, images and conversations as ``owner`` has them."""
    stored = vision.conversations
    find_template = partial(stored.find_template, owner)
    return ResponseServices(stored.pool, vision.intake, find_template, owner, stored)
