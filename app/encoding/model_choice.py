"""Which model encodes: the one that a request names, or the default of the kind it needs."""

from __future__ import annotations

from app.encoding.errors import NoEncoder, TooManyDimensions
from app.provider.card import EncoderFacts, Kind, ModelCard, Task
from app.provider.errors import UnsupportedInput
from app.provider.pool.pool import ModelPool

SUITABLE: dict[Kind, frozenset[Task]] = {
    "embedding": frozenset({"embedding", "multimodal"}),
    "rerank": frozenset({"rerank", "embedding"}),
    "vision": frozenset({"vision"}),
    "multimodal": frozenset({"multimodal"}),
}
"""What a model must be able to do, one of these, to be used where a kind is needed."""

WORK: dict[Kind, str] = {
    "embedding": "makes no embeddings of texts",
    "rerank": "ranks no documents",
    "vision": "makes no embeddings of images",
    "multimodal": "makes no embeddings of images and texts together",
}
"""What a model that is none of these does not do."""


async def find_encoder(pool: ModelPool, name: str | None, kind: Kind) -> ModelCard:
    """The model of that name, or the default one of the kind.

    Raises ModelNotFound, ModelConflict, UnsupportedInput for a model that does other things, and
    NoEncoder.
    """
    card = await (pool.find_encoder(kind) if name is None else pool.find(name))
    if card is None:
        raise NoEncoder(kind)
    _require(card, kind)
    return card


def _require(card: ModelCard, kind: Kind) -> None:
    """A model without any task passes: loading it fails and names the reason."""
    makes_text = "chat" in card.tasks
    if card.tasks and (makes_text or SUITABLE[kind].isdisjoint(card.tasks)):
        can = ", ".join(card.tasks)
        raise UnsupportedInput(f"{card.id} {WORK[kind]}; it can: {can}.")


def facts(card: ModelCard) -> EncoderFacts:
    """What is known of the vectors of a model."""
    return card.encoder or EncoderFacts()


def require_dimensions(card: ModelCard, asked: int | None) -> None:
    """Raise TooManyDimensions for longer vectors than the model makes, as far as is known."""
    most = facts(card).dimensions
    if asked is not None and 0 < most < asked:
        raise TooManyDimensions(card.id, asked, most)
