"""The list of models, as clients see it."""

from __future__ import annotations

import asyncio

from app.provider.catalogue import ModelCard
from app.provider.pool import ModelPool
from app.v1.models.models import Model, ModelList


async def list_models(pool: ModelPool) -> ModelList:
    """Everything on disk, with what its engine is doing."""
    cards = await asyncio.to_thread(pool.cards)
    return ModelList(models=[_model(card, pool) for card in cards])


def _model(card: ModelCard, pool: ModelPool) -> Model:
    return Model(
        id=card.id,
        format=card.format,
        tasks=list(card.tasks),
        size_bytes=card.size_bytes,
        context_length=card.context_length,
        state="unusable" if card.problem else pool.state(card.id),
    )
