"""``/v1/vision``: pictures as vectors, how alike two are, and the models for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from msgspec.json import encode as encode_json

from app.dependencies import Owner, Pool, Vision, VisionServices
from app.encoding.encode import encode
from app.encoding.images import find_and_decode, image_source
from app.openai import respond
from app.openai.models.errors import COMMON_ERRORS, GENERATION_ERRORS, errors
from app.openai.models.vision import (
    ENCODE_EXAMPLES,
    SIMILARITY_EXAMPLES,
    ImageEmbeddings,
    ImagesBody,
    Similarity,
    SimilarityBody,
    VisionEncoderList,
)
from app.openai.translate import vision as translate
from app.provider.types import Encode
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema

router = APIRouter(prefix="/v1/vision", tags=["vision"])


@router.get(
    "/models",
    response_model=VisionEncoderList,
    response_description="Every model that encodes pictures",
    responses=errors(*COMMON_ERRORS, 503),
    summary="List the models that encode pictures",
)
async def vision_models(pool: Pool) -> Response:
    """List every model that makes vectors of pictures and can be loaded. None is loaded."""
    cards = await asyncio.to_thread(pool.cards)
    return Response(encode_json(translate.vision_models(cards)), media_type="application/json")


@router.post(
    "/encode",
    response_model=ImageEmbeddings,
    response_description="The vectors, in the order of the pictures",
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(ImagesBody, ENCODE_EXAMPLES),
    summary="Make vectors of pictures",
)
async def vision_encode(request: Request, vision: Vision, owner: Owner) -> Response:
    """Make a vector of each picture."""
    async with json_body(request, ImagesBody) as body:
        encoding = _encoded(body.model, body.images, vision, owner)
        model, found = await unless_disconnected(request.receive, encoding)
    return await respond.vectors(found, lambda: translate.image_embeddings(model, found))


@router.post(
    "/similarity",
    response_model=Similarity,
    response_description="How alike they are, and their vectors",
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(SimilarityBody, SIMILARITY_EXAMPLES),
    summary="Compare two pictures",
)
async def vision_similarity(request: Request, vision: Vision, owner: Owner) -> Response:
    """Say how alike two pictures are, from 0 to 1: the cosine of their vectors."""
    began = time.monotonic()
    async with json_body(request, SimilarityBody) as body:
        encoding = _encoded(body.model, (body.image1, body.image2), vision, owner)
        model, found = await unless_disconnected(request.receive, encoding)
    seconds = time.monotonic() - began
    return await respond.vectors(found, lambda: translate.similarity(model, found, seconds))


async def _encoded(
    name: str | None, images: Sequence[str], vision: VisionServices, owner: str
) -> tuple[str, list[bytes]]:
    """The model, and the vectors of the pictures."""
    pool = vision.conversations.pool
    sources = [*map(image_source, images)]
    card, parts = await find_and_decode(pool, vision.intake, name, "vision", sources)
    found = await encode(pool, card, Encode(tuple(parts), owner=owner))
    return card.id, found.vectors
