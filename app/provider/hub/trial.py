"""Says whether a model that was downloaded works, before it comes to its place."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.scan import scan
from app.provider.engine import EngineLimits
from app.provider.errors import ProviderError
from app.provider.pool import smoke_test
from app.provider.runtime.status import HostPolicy
from app.provider.types import Message, Prompt, Sampling

QUESTION = Prompt((Message.of("user", "Hello"),), Sampling(max_tokens=4), "")


def card_of(model: Path) -> ModelCard | None:
    """Describe the file or folder as the catalogue will; None when it is no model."""
    return next((card for card in scan(model.parent) if card.path.is_relative_to(model)), None)


def why_not(model: Path, limits: EngineLimits, policy: HostPolicy) -> str:
    """Load the model in an engine process of its own; say why it does not work, or nothing."""
    card = card_of(model)
    if card is None or card.problem:
        return (card and card.problem) or "It is no model that this server knows."
    try:
        smoke_test.answer(card.engine, card.path, limits, policy, QUESTION)
    except ProviderError as error:
        return str(error)
    return ""
