"""Model cards as ``/v1/models`` shows them."""

from __future__ import annotations

from app.openai.models.models import Model, ModelList
from app.provider.card import ModelCard

OWNER = "local"


def model_list(cards: list[ModelCard]) -> ModelList:
    """Every model that can be loaded."""
    return ModelList(data=[model(card) for card in cards if not card.problem])


def model(card: ModelCard) -> Model:
    """One model. Reads when its files were changed, which may block for a moment."""
    return Model(
        id=card.id,
        created=_created(card),
        owned_by=OWNER,
        context_length=card.context_length,
        tasks=list(card.tasks),
    )


def _created(card: ModelCard) -> int:
    try:
        return int(card.path.stat().st_mtime)
    except OSError:
        return 0
