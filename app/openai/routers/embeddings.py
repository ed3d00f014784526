"""``POST /v1/embeddings``: texts, and pictures, as vectors."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.dependencies import Owner, Vision
from app.openai import respond
from app.openai.models.embeddings import EXAMPLES, EmbeddingList, EmbeddingsBody
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.routers.services_of import services_of
from app.openai.service import embed
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
        asking = embed(body, services_of(vision, owner))
        answer = await unless_disconnected(request.receive, asking)
        return await respond.vectors(answer.found.vectors, answer.fields)
