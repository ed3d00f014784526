"""``/v1/multimodal``: pictures and texts in the same space, and which text describes which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from app.dependencies import Owner, Vision, VisionServices
from app.encoding.encode import encode
from app.encoding.images import find_and_decode, image_source
from app.openai import respond
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.models.multimodal import (
    ENCODE_EXAMPLES,
    MATCH_EXAMPLES,
    MatchBody,
    Matches,
    MultimodalBody,
    MultimodalEmbeddings,
)
from app.openai.translate import vision as translate
from app.provider.card import ModelCard
from app.provider.encoding.item_length import Item
from app.provider.types import Encode, TextPart
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema

router = APIRouter(prefix="/v1/multimodal", tags=["multimodal"])


class Vectors(NamedTuple):
    """The model, and its vectors of pictures and of texts."""

    card: ModelCard
    images: Sequence[bytes]
    texts: Sequence[bytes]


@router.post(
    "/encode",
    response_model=MultimodalEmbeddings,
    response_description="The vectors, in the order of the pictures and texts",
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(MultimodalBody, ENCODE_EXAMPLES),
    summary="Make vectors of pictures and texts",
)
async def multimodal_encode(request: Request, vision: Vision, owner: Owner) -> Response:
    """Make vectors of pictures and texts that can be compared with each other."""
    async with json_body(request, MultimodalBody) as body:
        card, images, texts = await unless_disconnected(
            request.receive, _encoded(body, vision, owner)
        )
    return await respond.vectors(
        (*images, *texts), lambda: translate.multimodal_embeddings(card.id, images, texts)
    )


@router.post(
    "/match",
    response_model=Matches,
    response_description="A row for each picture, with a number for each text",
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(MatchBody, MATCH_EXAMPLES),
    summary="Match pictures with texts",
)
async def multimodal_match(request: Request, vision: Vision, owner: Owner) -> Response:
    """Say how well each text describes each picture.

    The cosines of some models (SigLIP) are small even where a text fits: compare `probabilities`.
    """
    async with json_body(request, MatchBody) as body:
        card, images, texts = await unless_disconnected(
            request.receive, _encoded(body, vision, owner)
        )
    return await respond.vectors((*images, *texts), lambda: translate.matches(card, images, texts))


async def _encoded(body: MultimodalBody | MatchBody, vision: VisionServices, owner: str) -> Vectors:
    pool = vision.conversations.pool
    sources = [image_source(image) for image in body.images or ()]
    card, images = await find_and_decode(pool, vision.intake, body.model, "multimodal", sources)
    items: list[Item] = [*images, *map(TextPart, body.texts or ())]
    job = Encode(tuple(items), truncate=body.truncate, owner=owner)
    found = (await encode(pool, card, job)).vectors
    return Vectors(card, found[: len(images)], found[len(images) :])
