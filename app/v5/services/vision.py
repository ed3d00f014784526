"""The vision models, and the limits of images."""

from __future__ import annotations

import asyncio

from app.conversations.context_window import max_images
from app.media.header import MIMES
from app.media.policy import MediaPolicy
from app.provider.card import ModelCard, Vision
from app.provider.errors import ModelConflict, ModelNotFound
from app.provider.pool.pool import ModelPool
from app.v1.services.models import model_fields
from app.v5.models.vision import ImageRules, VisionInfo, VisionModel


async def info(pool: ModelPool, policy: MediaPolicy, largest: int) -> VisionInfo:
    """Every vision model on disk, with the limits of images and of bodies."""
    cards = await asyncio.to_thread(pool.cards)
    return VisionInfo(
        default_model=await _default(pool),
        models=[_model(pool, card, card.vision, policy) for card in cards if card.vision],
        images=ImageRules(
            mime_types=list(MIMES),
            max_images=policy.max_images,
            max_bytes=policy.max_bytes,
            max_pixels=policy.max_pixels,
            max_side=policy.max_side or None,
            max_request_bytes=largest,
            urls=policy.urls,
        ),
    )


async def _default(pool: ModelPool) -> str | None:
    """The default vision model; None if there is none or the setting names another model."""
    try:
        card = await pool.find_vision()
    except (ModelNotFound, ModelConflict):
        return None
    return card.id if card and card.vision else None


def _model(pool: ModelPool, card: ModelCard, vision: Vision, policy: MediaPolicy) -> VisionModel:
    return VisionModel(
        id=card.id,
        name=card.name,
        state=model_fields(card, pool)["state"],
        max_images=max_images(card, policy.max_images),
        max_pixels=vision.max_pixels or None,
        min_tokens=vision.min_tokens or None,
        max_tokens=vision.max_tokens or None,
        video=vision.video,
        notice=vision.notice or None,
        problem=card.problem,
    )
