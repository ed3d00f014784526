"""Which model is used where neither a request nor a setting names one."""

from __future__ import annotations

from collections.abc import Sequence

from app.provider.card import ModelCard

STARTER = "starter"
VISION_STARTER = "starter-vision"


def default_chat(cards: Sequence[ModelCard]) -> str:
    """Id of the chat model to use: the starter, else the first one that can be used.

    Where none can be used it is a broken one, so that the error says what is wrong with it.
    """
    chat = [card for card in cards if "chat" in card.tasks]
    usable = [card for card in chat if not card.problem]
    ids = [card.id for card in usable or chat or cards]
    return STARTER if STARTER in ids or not ids else ids[0]


def default_vision(cards: Sequence[ModelCard]) -> str | None:
    """Id of the vision model to use, chosen in the same way; None if there is none."""
    ids = vision_models(cards)
    return VISION_STARTER if VISION_STARTER in ids else next(iter(ids), None)


def vision_models(cards: Sequence[ModelCard]) -> list[str]:
    """Ids of the models that take pictures and can be used."""
    return [card.id for card in cards if card.vision and not card.problem]


def problem_of(found: Sequence[ModelCard]) -> str | None:
    """Why a model that a setting names cannot be used; ``found`` are the models of that name."""
    if len(found) == 1:
        return found[0].problem
    return "Several models have this name." if found else "There is no such model."
