"""All of the dialect: what ``app.dialects`` imports after the start."""

from __future__ import annotations

from app.openai import errors
from app.openai.models.answers import ChatCompletionChunk
from app.openai.models.chat import ChatBody
from app.openai.models.embed import EmbedBody
from app.openai.models.embeddings import EmbeddingsBody
from app.openai.models.errors import ErrorAnswer, PlainError
from app.openai.models.multimodal import MatchBody, MultimodalBody
from app.openai.models.rerank import RerankBody
from app.openai.models.response_objects import ResponseEvent
from app.openai.models.responses import InputTokensBody, ResponseBody
from app.openai.models.vision import ImagesBody, SimilarityBody
from app.openai.routers import (
    chat,
    completions,
    conversations,
    embed,
    embeddings,
    health,
    infill,
    models,
    multimodal,
    rerank,
    responses,
    tokens,
    vision,
)
from app.web import openapi
from app.web.dialect import Dialect

DESCRIPTION = """\
OpenAI's API, for clients that were written for it: set their base URL to this server's `/v1`.

* Every error is an `error` object with `message`, `type`, `param` and `code`; every answer has an
  `X-Request-ID`.
* When the server has API keys, send one: `Authorization: Bearer <key>`.
* Clients of Cohere's API get the server's own address as their base URL: `/v1/embed`,
  `/v1/rerank`, `/v2/embed` and `/v2/rerank`. Errors under `/v2` are Cohere's: `id` and `message`.
"""

DIALECT = Dialect(
    "openai",
    (
        chat.router,
        completions.router,
        infill.router,
        tokens.router,
        embeddings.router,
        rerank.router,
        responses.router,
        conversations.router,
        embed.router,
        vision.router,
        multimodal.router,
        models.router,
        health.router,
    ),
    errors.render,
    openapi.Style(DESCRIPTION, ErrorAnswer),
    schemas=(ChatCompletionChunk, PlainError, ResponseEvent),
    bodies=(
        ChatBody,
        EmbeddingsBody,
        RerankBody,
        ResponseBody,
        InputTokensBody,
        EmbedBody,
        ImagesBody,
        SimilarityBody,
        MultimodalBody,
        MatchBody,
    ),
    large=frozenset(
        {
            "/v1/chat/completions",
            "/v1/embeddings",
            "/v1/rerank",
            "/v1/responses",
            "/v1/responses/input_tokens",
            "/v2/rerank",
            "/v1/embed",
            "/v2/embed",
            "/v1/vision/encode",
            "/v1/vision/similarity",
            "/v1/multimodal/encode",
            "/v1/multimodal/match",
        }
    ),
    render_other={"/v2": errors.render_plainly},
)
