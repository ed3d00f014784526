"""``POST /v1/embeddings``: texts, and pictures, as vectors."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.dependencies import Owner, Vision, VisionServices
from app.encoding.encode import encode
from app.encoding.images import find_and_decode
from app.openai import respond
from app.openai.models.embeddings import EXAMPLES, EmbeddingList, EmbeddingsBody
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.translate.embeddings import embedding_list, embeddings_job, image_sources
from app.provider.card import Kind
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema

router = APIRouter(prefix="/v1", tags=["embeddings"])


@router.post(
    "/embeddings",
    response_model=EmbeddingList,
    response_description="The vectors, in the order of the inputs",
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(EmbeddingsBody, EXAMPLES),
    summary="Make vectors of texts",
)
async def embeddings(request: Request, vision: Vision, owner: Owner) -> Response:
    """Make a vector of each input. Pictures need a model that encodes both.

    No prompt is put before a text unless `input_type`, or the model's own files, ask for it. A
    text that is too long is refused, with its place and tokens, unless `truncate` cuts it.
    """
    async with json_body(request, EmbeddingsBody) as body:
        return await unless_disconnected(request.receive, _embed(body, vision, owner))


async def _embed(body: EmbeddingsBody, vision: VisionServices, owner: str) -> Response:
    pool = vision.conversations.pool
    sources = image_sources(body)
    kind: Kind = "multimodal" if sources else "embedding"
    card, images = await find_and_decode(pool, vision.intake, body.model, kind, sources)
    found = await encode(pool, card, embeddings_job(body, card, images, owner))
    return await respond.vectors(
        found.vectors, lambda: embedding_list(card.id, found, body.encoding)
    )
