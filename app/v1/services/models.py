"""The list of models, as v1 shows it."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool
from app.v1.models.models import Model, ModelList

FORMATS = frozenset(get_args(Model.model_fields["format"].annotation))
"""The formats of v1's contract: its clients need not understand any other."""


async def list_models(pool: ModelPool) -> ModelList:
    """Every model in a format of ``FORMATS``, with the state of its engine."""
    cards = await asyncio.to_thread(pool.cards)
    known = [card for card in cards if card.format in FORMATS]
    return ModelList(models=[Model(**model_fields(card, pool)) for card in known])


def model_fields(card: ModelCard, pool: ModelPool) -> dict[str, Any]:
    """The fields that every version shows of a model."""
    state = pool.state(card.id)
    return {
        "id": card.id,
        "format": card.format,
        "tasks": list(card.tasks),
        "size_bytes": card.size_bytes,
        "context_length": card.context_length,
        "state": "unusable" if card.problem and state != "failed" else state,
    }
