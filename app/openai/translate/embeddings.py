"""``/v1/embeddings`` between the wire and the domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Raw

from app.encoding.encode import Encodings
from app.encoding.images import image_source
from app.encoding.model_choice import require_dimensions
from app.encoding.prompts import prompt_of
from app.encoding.vectors import WRITERS, Encoding
from app.media.image_source import ImageSource
from app.openai.models.embeddings import EmbeddingsBody
from app.openai.models.inputs import InputObject
from app.provider.card import ModelCard
from app.provider.encoding.item_length import Item
from app.provider.types import Encode, ImagePart, TextPart, TokensPart


def image_sources(body: EmbeddingsBody) -> list[ImageSource]:
    """Where the pictures come from, in order."""
    return [image_source(item.picture) for item in body.objects if item.picture]


def embeddings_job(
    body: EmbeddingsBody, card: ModelCard, images: Sequence[ImagePart], owner: str
) -> Encode:
    """What the model is to do; raises TooManyDimensions, UnknownPrompt."""
    require_dimensions(card, body.dimensions)
    left = iter(images)
    return Encode(
        tuple(_item(item, left) for item in body.input),
        prompt=prompt_of(card, body.input_type or body.task),
        normalize=body.normalized,
        dimensions=body.dimensions,
        truncate=body.truncate,
        owner=owner,
    )


def _item(item: str | list[int] | InputObject, images: Iterator[ImagePart]) -> Item:
    if isinstance(item, str):
        return TextPart(item)
    if isinstance(item, list):
        return TokensPart(tuple(item))
    return next(images) if item.picture else TextPart(item.text or "")


def embedding_list(model: str, found: Encodings, encoding: Encoding) -> dict[str, Any]:
    """The vectors, in the order of the inputs."""
    write = WRITERS[encoding]
    data = (
        b'{"object":"embedding","index":%d,"embedding":%b}' % (index, write(vector))
        for index, vector in enumerate(found.vectors)
    )
    return {
        "object": "list",
        "data": Raw(b"[" + b",".join(data) + b"]"),
        "model": model,
        "usage": usage(found.tokens),
    }


def usage(tokens: int) -> dict[str, int]:
    """Tokens that were computed."""
    return {"prompt_tokens": tokens, "total_tokens": tokens}
