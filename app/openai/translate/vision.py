"""``/v1/vision`` and ``/v1/multimodal`` between the wire and the domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.encoding.model_choice import facts
from app.encoding.similarity import cosines, likeness, probabilities
from app.encoding.vectors import as_array, as_numbers, dimensions
from app.provider.card import ModelCard


def image_embeddings(model: str, images: Sequence[bytes]) -> dict[str, Any]:
    """The vectors of pictures."""
    return {
        "model": model,
        "embeddings": as_array(images),
        "dimensions": dimensions(images),
    }


def similarity(model: str, images: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """How alike two pictures are, and their vectors."""
    first, second = images
    return {
        "model": model,
        "similarity": float(likeness(cosines([first], [second]))[0, 0]),
        "image1_features": as_numbers(first),
        "image2_features": as_numbers(second),
        "dimensions": dimensions(images),
        "feature_dimensions": dimensions(images),
        "processing_time": round(seconds, 4),
    }


def multimodal_embeddings(
    model: str, images: Sequence[bytes], texts: Sequence[bytes]
) -> dict[str, Any]:
    """The vectors of pictures and texts."""
    return {
        "model": model,
        "image_embeddings": as_array(images) if images else None,
        "text_embeddings": as_array(texts) if texts else None,
        "dimensions": dimensions(images or texts),
    }


def matches(card: ModelCard, images: Sequence[bytes], texts: Sequence[bytes]) -> dict[str, Any]:
    """How well each text describes each picture."""
    found = cosines(images, texts)
    known = probabilities(found, facts(card))
    return {
        "model": card.id,
        "similarity_matrix": found.tolist(),
        "shape": list(found.shape),
        "probabilities": None if known is None else known.tolist(),
        "rule": None if known is None else facts(card).pairing,
        "dimensions": dimensions(images),
    }


def vision_models(cards: Sequence[ModelCard]) -> dict[str, Any]:
    """The models that encode pictures and can be loaded."""
    encoders = [
        card for card in cards if card.encoder and "vision" in card.tasks and not card.problem
    ]
    return {"object": "list", "data": [_vision_model(card) for card in encoders]}


def _vision_model(card: ModelCard) -> dict[str, Any]:
    texts = "multimodal" in card.tasks
    return {
        "id": card.id,
        "object": "model",
        "type": card.kind,
        "dimensions": facts(card).dimensions,
        "capabilities": {
            "image_encoding": True,
            "image_similarity": True,
            "text_encoding": texts,
            "image_text_matching": texts,
        },
    }
