"""``/embed``, in the form of Cohere's API, between the wire and the domain."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from app.encoding.encode import Encodings
from app.encoding.images import image_source
from app.encoding.model_choice import require_dimensions
from app.encoding.prompts import prompt_of
from app.encoding.vectors import Encoding, as_array
from app.media.image_source import ImageSource
from app.openai.models.embed import EmbedBody, EmbedPart
from app.openai.translate.rerank import meta, require_tokens
from app.provider.card import ModelCard
from app.provider.encoding.item_length import Item
from app.provider.types import Encode, ImagePart, TextPart


def image_sources(body: EmbedBody) -> list[ImageSource]:
    """Where the pictures come from, in order."""
    if body.images is not None:
        return [image_source(image) for image in body.images]
    return [
        ImageSource(url=part.image_url.url, detail=part.image_url.detail)
        for part in _parts(body)
        if part.image_url is not None and part.type == "image_url"
    ]


def embed_job(body: EmbedBody, card: ModelCard, images: Sequence[ImagePart], owner: str) -> Encode:
    """What the model is to do; raises InvalidParameter, TooManyDimensions, UnknownPrompt."""
    require_dimensions(card, body.output_dimension)
    require_tokens("/max_tokens", body.max_tokens, card)
    return Encode(
        tuple(_items(body, images)),
        prompt=prompt_of(card, body.input_type),
        dimensions=body.output_dimension,
        truncate=body.truncate == "END",
        owner=owner,
    )


def _items(body: EmbedBody, images: Sequence[ImagePart]) -> Iterator[Item]:
    if body.texts is not None:
        yield from map(TextPart, body.texts)
    elif body.images is not None:
        yield from images
    else:
        left = iter(images)
        for part in _parts(body):
            yield TextPart(part.text or "") if part.type == "text" else next(left)


def _parts(body: EmbedBody) -> list[EmbedPart]:
    return [part for each in body.inputs or () for part in each.content]


def embed_answer(
    body: EmbedBody, model: str, found: Encodings, version: str, types: Sequence[Encoding]
) -> dict[str, Any]:
    """The vectors as each of ``types``; as numbers alone where there are none."""
    by_type = {each: as_array(found.vectors, each) for each in dict.fromkeys(types)}
    return {
        "id": str(uuid.uuid4()),
        "model": model,
        "embeddings": by_type or as_array(found.vectors),
        "response_type": "embeddings_by_type" if by_type else "embeddings_floats",
        "texts": body.texts or [part.text for part in _parts(body) if part.type == "text"],
        "meta": meta(version, {"input_tokens": found.tokens}, found.tokens),
    }
