"""``POST /v1/rerank`` and ``/v2/rerank``: documents in the order in which they answer a query."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.dependencies import Owner, Pool
from app.encoding.model_choice import find_encoder
from app.encoding.ranking import Ranking, rank
from app.openai import respond
from app.openai.models.errors import GENERATION_ERRORS, PlainError, errors
from app.openai.models.rerank import EXAMPLES, RerankAnswer, RerankBody
from app.openai.translate.rerank import ranking_request, rerank_answer
from app.provider.pool.pool import ModelPool
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema

router = APIRouter(tags=["rerank"])


@router.post(
    "/v1/rerank",
    response_model=RerankAnswer,
    response_description="The documents, the best first",
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(RerankBody, EXAMPLES),
    summary="Rank documents",
)
async def rerank(request: Request, pool: Pool, owner: Owner) -> Response:
    """Rank documents by how well they answer a query, as Jina's, Cohere's and other clients ask it.

    Scores are from 0 to 1. A reranker reads the query and each document together; an embedding
    model gives the cosine of their vectors, or 0 where that is negative.
    """
    return await _ranked(request, pool, owner, "1")


@router.post(
    "/v2/rerank",
    response_model=RerankAnswer,
    response_description="The documents, the best first",
    responses=errors(*GENERATION_ERRORS, form=PlainError),
    openapi_extra=json_schema(RerankBody, EXAMPLES),
    summary="Rank documents (Cohere, version 2)",
)
async def rerank_v2(request: Request, pool: Pool, owner: Owner) -> Response:
    """The same as `/v1/rerank`, where the client of Cohere's second version looks for it."""
    return await _ranked(request, pool, owner, "2")


async def _ranked(request: Request, pool: ModelPool, owner: str, version: str) -> Response:
    async with json_body(request, RerankBody) as body:
        model, found = await unless_disconnected(request.receive, _rank(body, pool, owner))
        size = sum(map(len, body.documents))
        return await respond.written(size, lambda: rerank_answer(body, model, found, version))


async def _rank(body: RerankBody, pool: ModelPool, owner: str) -> tuple[str, Ranking]:
    card = await find_encoder(pool, body.model, "rerank")
    return card.id, await rank(pool, card, ranking_request(body, card, owner))
