"""Tools that find texts by meaning. What they give is what ``/v1`` gives."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import Field

from app.encoding.encode import Encodings, encode
from app.encoding.model_choice import find_encoder
from app.encoding.prompts import prompt_of
from app.encoding.ranking import RankingRequest, rank
from app.encoding.vectors import numbers
from app.mcp.call import Call
from app.mcp.tools.tool import Arguments, ModelName, Tool, ToolAnswer, Words, json_answer
from app.provider.types import Encode, TextPart

Texts = Annotated[list[Words], Field(min_length=1, max_length=1000)]


class EmbedArguments(Arguments):
    """Of ``embed``."""

    texts: Texts = Field(description="A vector is made of each.")
    purpose: str = Field(
        "",
        max_length=100,
        description="What they are for: query, document, classification, clustering, or empty.",
    )
    model: ModelName = Field("", description="The id of an embedding model; empty: the default.")


class RerankArguments(Arguments):
    """Of ``rerank``."""

    query: Words = Field(min_length=1, description="What is looked for.")
    documents: Texts = Field(description="The texts to rank.")
    top_n: int = Field(0, ge=0, description="Give only so many, the best; 0: all.")
    model: ModelName = Field(
        "", description="The id of a reranker or an embedding model; empty: the default."
    )


async def embed(call: Call, asked: EmbedArguments) -> ToolAnswer:
    """Make a vector of each text."""
    card = await find_encoder(call.pool, asked.model or None, "embedding")
    items = tuple(map(TextPart, asked.texts))
    job = Encode(items, prompt=prompt_of(card, asked.purpose or None), owner=call.owner)
    found = await encode(call.pool, card, job)
    return await asyncio.to_thread(_embedding_list, card.id, found)


def _embedding_list(model: str, found: Encodings) -> ToolAnswer:
    """Many numbers, which a thread writes."""
    data = [
        {"object": "embedding", "index": index, "embedding": numbers(vector)}
        for index, vector in enumerate(found.vectors)
    ]
    usage = _usage(found.tokens)
    return json_answer({"object": "list", "data": data, "model": model, "usage": usage})


async def rerank(call: Call, asked: RerankArguments) -> ToolAnswer:
    """Rank documents by how well they answer a query."""
    card = await find_encoder(call.pool, asked.model or None, "rerank")
    request = RankingRequest(asked.query, tuple(asked.documents), owner=call.owner)
    found = await rank(call.pool, card, request)
    results = [
        {"index": index, "relevance_score": score}
        for index, score in found.ranked[: asked.top_n or None]
    ]
    return json_answer({"model": card.id, "results": results, "usage": _usage(found.tokens)})


def _usage(tokens: int) -> dict[str, Any]:
    return {"prompt_tokens": tokens, "total_tokens": tokens}


TOOLS = (
    Tool(
        "embed",
        "Embed texts",
        "Turn texts into vectors of length 1: the more two texts mean the same, the greater the "
        "dot product of their vectors.",
        EmbedArguments,
        embed,
    ),
    Tool(
        "rerank",
        "Rank documents",
        "Put texts into the order in which they answer a query, with scores from 0 to 1. Use it to "
        "choose what is worth reading.",
        RerankArguments,
        rerank,
    ),
)
"""In the order in which they are listed."""
