"""``POST /v1/embed`` and ``/v2/embed``: vectors, in the form of Cohere's API."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from app.dependencies import Owner, Vision, VisionServices
from app.encoding.encode import Encodings, encode
from app.encoding.images import find_and_decode
from app.encoding.vectors import Encoding
from app.openai import respond
from app.openai.models.embed import EXAMPLES, EmbedAnswer, EmbedBody
from app.openai.models.errors import GENERATION_ERRORS, PlainError, errors
from app.openai.translate.embed import embed_answer, embed_job, image_sources
from app.provider.card import Kind
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema

router = APIRouter(tags=["embeddings"])


@router.post(
    "/v1/embed",
    response_model=EmbedAnswer,
    response_description="The vectors, in the order of the inputs",
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(EmbedBody, EXAMPLES),
    summary="Make vectors (Cohere, version 1)",
)
async def embed(request: Request, vision: Vision, owner: Owner) -> Response:
    """Make a vector of each text or picture; without `embedding_types`, numbers alone."""
    return await _answered(request, vision, owner, "1", ())


@router.post(
    "/v2/embed",
    response_model=EmbedAnswer,
    response_description="The vectors, in the order of the inputs",
    responses=errors(*GENERATION_ERRORS, form=PlainError),
    openapi_extra=json_schema(EmbedBody, EXAMPLES),
    summary="Make vectors (Cohere, version 2)",
)
async def embed_v2(request: Request, vision: Vision, owner: Owner) -> Response:
    """Make a vector of each text or picture, by type: `float` unless `embedding_types` says so."""
    return await _answered(request, vision, owner, "2", ("float",))


async def _answered(
    request: Request, vision: VisionServices, owner: str, version: str, default: Sequence[Encoding]
) -> Response:
    async with json_body(request, EmbedBody) as body:
        asking = _embed(body, vision, owner)
        model, found = await unless_disconnected(request.receive, asking)
        types = body.embedding_types or default
        return await respond.vectors(
            found.vectors, lambda: embed_answer(body, model, found, version, types)
        )


async def _embed(body: EmbedBody, vision: VisionServices, owner: str) -> tuple[str, Encodings]:
    pool = vision.conversations.pool
    sources = image_sources(body)
    kind: Kind = "multimodal" if sources else "embedding"
    card, images = await find_and_decode(pool, vision.intake, body.model, kind, sources)
    return card.id, await encode(pool, card, embed_job(body, card, images, owner))
