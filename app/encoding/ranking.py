"""Documents in the order in which they answer a query."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from app.encoding.encode import Encodings, encode
from app.encoding.errors import QueryTooLong
from app.encoding.prompts import prompt_of
from app.encoding.similarity import cosines, likeness
from app.provider.card import ModelCard
from app.provider.errors import InputTooLong
from app.provider.pool.pool import ModelPool
from app.provider.types import Encode, PairPart, TextPart


@dataclass(frozen=True, slots=True)
class RankingRequest:
    """A query and the documents to rank.

    ``raw_scores`` are those of the model itself. ``instruction`` is for rerankers that take one.
    What is too long is cut if ``truncate``, or else refused.
    """

    query: str
    documents: tuple[str, ...]
    instruction: str = ""
    truncate: bool = True
    raw_scores: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Places of the documents and their scores, the best first, and tokens computed."""

    ranked: list[tuple[int, float]]
    tokens: int


async def rank(pool: ModelPool, card: ModelCard, request: RankingRequest) -> Ranking:
    """Rank with a reranker, or else by the cosines that an embedding model gives.

    Raises what ``encode`` raises, and QueryTooLong.
    """
    if "rerank" in card.tasks:
        return await _rank_pairs(pool, card, request)
    return await _rank_vectors(pool, card, request)


async def _rank_pairs(pool: ModelPool, card: ModelCard, request: RankingRequest) -> Ranking:
    pairs = tuple(PairPart(request.query, document) for document in request.documents)
    job = Encode(
        pairs,
        prompt=request.instruction,
        truncate=request.truncate,
        raw_scores=request.raw_scores,
        owner=request.owner,
    )
    found = await encode(pool, card, job)
    return Ranking(_best_first(_scores(found.vectors)), found.tokens)


def _scores(vectors: Sequence[bytes]) -> list[float]:
    return array("d", b"".join(vectors)).tolist()


async def _rank_vectors(pool: ModelPool, card: ModelCard, request: RankingRequest) -> Ranking:
    """The query and the documents have prompts of their own, so they are two jobs."""
    query = await _encode_query(pool, card, request)
    documents = await encode(pool, card, _documents_job(card, request))
    cosine = await asyncio.to_thread(cosines, query.vectors, documents.vectors)
    scores: list[float] = (cosine if request.raw_scores else likeness(cosine))[0].tolist()
    return Ranking(_best_first(scores), query.tokens + documents.tokens)


async def _encode_query(pool: ModelPool, card: ModelCard, request: RankingRequest) -> Encodings:
    job = Encode(
        (TextPart(request.query),),
        prompt=prompt_of(card, "query"),
        truncate=request.truncate,
        owner=request.owner,
    )
    try:
        return await encode(pool, card, job)
    except InputTooLong as error:
        raise QueryTooLong(error.needed, error.limit) from error


def _documents_job(card: ModelCard, request: RankingRequest) -> Encode:
    return Encode(
        tuple(map(TextPart, request.documents)),
        prompt=prompt_of(card, "document"),
        truncate=request.truncate,
        owner=request.owner,
    )


def _best_first(scores: Sequence[float]) -> list[tuple[int, float]]:
    """Equal scores stay in the order of the documents."""
    return sorted(enumerate(scores), key=lambda each: -each[1])
