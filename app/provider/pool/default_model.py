"""Which model is used where neither a request nor a setting names one."""

from __future__ import annotations

from collections.abc import Sequence

from app.provider.card import Kind, ModelCard

STARTER = "starter"
VISION_STARTER = "starter-vision"
STAND_INS: dict[Kind, tuple[Kind, ...]] = {
    "rerank": ("rerank", "embedding"),
    "vision": ("vision", "multimodal"),
}
"""Kinds of models that do the work of a kind, the best first; others do only their own."""


def default_chat(cards: Sequence[ModelCard]) -> str:
    """Id of the chat model to use: the starter, else the first one that can be used.

    Where none can be used it is a broken one, so that the error says what is wrong with it.
    """
    chat = [card for card in cards if "chat" in card.tasks and not card.preset]
    usable = [card for card in chat if not card.problem]
    ids = [card.id for card in usable or chat or cards]
    return STARTER if STARTER in ids or not ids else ids[0]


def default_vision(cards: Sequence[ModelCard], architecture: str = "") -> str | None:
    """Id of the vision model to use, chosen in the same way; None if there is none.

    Of an ``architecture`` a model that the user has brought comes before a starter.
    """
    if architecture:
        ids = vision_models([card for card in cards if card.architecture == architecture])
        return min(ids, key=lambda name: name.startswith(VISION_STARTER), default=None)
    ids = vision_models(cards)
    return VISION_STARTER if VISION_STARTER in ids else next(iter(ids), None)


def vision_models(cards: Sequence[ModelCard]) -> list[str]:
    """Ids of the models that take pictures and can be used, without presets."""
    return [card.id for card in cards if card.vision and not (card.problem or card.preset)]


def default_encoder(kind: Kind, cards: Sequence[ModelCard]) -> str | None:
    """Id of the model that encodes where a request names none; None if there is none.

    A model that the user has brought, else a starter, else one that only repeats what it gets.
    """
    kinds = STAND_INS.get(kind, (kind,))
    usable = [card for card in cards if card.encoder and not card.problem and card.kind in kinds]
    best = min(
        usable,
        key=lambda card: (_rank(card), kinds.index(card.kind)),
        default=None,
    )
    return best.id if best else None


def _rank(card: ModelCard) -> int:
    """0 for a model that the user has brought."""
    if card.engine == "echo":
        return 3
    if not card.id.startswith(STARTER):
        return 0
    return 1 if card.id.count("-") == 1 else 2  # "starter-embed" before its other formats


def problem_of(found: Sequence[ModelCard]) -> str | None:
    """Why a model that a setting names cannot be used; ``found`` are the models of that name."""
    if len(found) == 1:
        return found[0].problem
    return "Several models have this name." if found else "There is no such model."
