"""Documents are ranked by scores, or by the cosines of vectors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from app.encoding.errors import QueryTooLong
from app.encoding.ranking import RankingRequest, rank
from app.provider.card import EncoderFacts, ModelCard
from app.provider.errors import InputTooLong
from app.provider.pool.pool import ModelPool
from app.provider.types import Encode, Encoded, End, Event, PairPart, TextPart, Usage

EMBEDDER = ModelCard(
    "m", "echo", "echo", Path("none"), 0, 512, tasks=("embedding",), encoder=EncoderFacts(2)
)
RERANKER = replace(EMBEDDER, tasks=("rerank",), encoder=EncoderFacts(1))
VECTORS = {"q": (1, 0), "opposite": (-2, 0), "same": (3, 0), "other": (0, 1), "near": (1, 1)}
SCORES = {"opposite": 1 - 2e-12, "same": 1 - 1e-12, "other": 0.5, "near": 0.5}
DOCUMENTS = tuple(SCORES)


class Pool:
    """Gives the vectors and scores above; refuses the text "long"."""

    async def encode(self, _: ModelCard, job: Encode) -> AsyncGenerator[Event, None]:
        for index, part in enumerate(job.items):
            yield Encoded(index, self._number(part), 1)
        yield End("stop", Usage(len(job.items), 0, 0))

    def _number(self, part: object) -> bytes:
        if isinstance(part, PairPart):
            return np.array([SCORES[part.document]], "<f8").tobytes()
        assert isinstance(part, TextPart)
        if part.text == "long":
            raise InputTooLong(0, 600, 512)
        return np.array(VECTORS[part.text], "<f4").tobytes()


async def ranked(
    card: ModelCard, *, query: str = "q", raw_scores: bool = False
) -> list[tuple[int, float]]:
    request = RankingRequest(query, DOCUMENTS, raw_scores=raw_scores)
    return (await rank(cast("ModelPool", Pool()), card, request)).ranked


async def test_scores_that_differ_by_little_keep_their_order() -> None:
    assert await ranked(RERANKER) == [(1, 1 - 1e-12), (0, 1 - 2e-12), (2, 0.5), (3, 0.5)]


async def test_cosines_below_zero_are_none() -> None:
    expected = [(1, 1.0), (3, pytest.approx(0.5**0.5)), (0, 0.0), (2, 0.0)]
    assert await ranked(EMBEDDER) == expected


async def test_raw_cosines_are_as_they_are() -> None:
    expected = [(1, 1.0), (3, pytest.approx(0.5**0.5)), (2, 0.0), (0, -1.0)]
    assert await ranked(EMBEDDER, raw_scores=True) == expected


async def test_a_query_that_is_too_long_is_called_the_query() -> None:
    with pytest.raises(QueryTooLong, match="query has 600 tokens"):
        await ranked(EMBEDDER, query="long")
