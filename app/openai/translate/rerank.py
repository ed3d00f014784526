"""``/rerank`` between the wire and the domain."""

from __future__ import annotations

import uuid
from typing import Any

from app.encoding.ranking import Ranking, RankingRequest
from app.openai.errors import InvalidParameter
from app.openai.models.rerank import RerankBody
from app.openai.translate.embeddings import usage
from app.provider.card import ModelCard


def ranking_request(body: RerankBody, card: ModelCard, owner: str) -> RankingRequest:
    """What is to be ranked; raises InvalidParameter."""
    require_tokens("/max_tokens_per_doc", body.max_tokens_per_doc, card)
    return RankingRequest(
        body.query,
        tuple(body.documents),
        instruction=body.instruction or "",
        truncate=body.truncate,
        raw_scores=body.raw_scores,
        owner=owner,
    )


def require_tokens(pointer: str, asked: int | None, card: ModelCard) -> None:
    """Refuse to cut inputs shorter than the model's own limit does."""
    if asked is not None and asked < card.context_length:
        raise InvalidParameter(
            pointer, f"Inputs are cut where {card.id} ends, at {card.context_length} tokens."
        )


def rerank_answer(body: RerankBody, model: str, found: Ranking, version: str) -> dict[str, Any]:
    """The documents, the best first."""
    most = body.top_n or body.top_k
    return {
        "id": str(uuid.uuid4()),
        "model": model,
        "results": [_result(body, *each) for each in found.ranked[:most]],
        "usage": usage(found.tokens),
        "meta": meta(version, {"search_units": 1}, found.tokens),
    }


def meta(version: str, billed: dict[str, int], tokens: int) -> dict[str, Any]:
    """What Cohere's clients look for."""
    return {
        "api_version": {"version": version},
        "billed_units": billed,
        "tokens": {"input_tokens": tokens},
    }


def _result(body: RerankBody, index: int, score: float) -> dict[str, Any]:
    """Whoever says ``top_k`` expects the names of the Local LLM Interface."""
    result: dict[str, Any] = {"index": index, "relevance_score": score}
    text = body.documents[index]
    if body.top_k:
        result["score"] = score
        if body.return_documents is not False:
            result["document"] = text
    elif body.return_documents:
        result["document"] = {"text": text}
    return result
