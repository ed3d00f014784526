"""All of the dialect: what ``app.dialects`` imports after the start."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from app.openai import errors
from app.openai.models.answers import ChatCompletionChunk
from app.openai.models.chat import ChatBody
from app.openai.models.errors import ErrorAnswer
from app.openai.routers import chat, completions, health, infill, models, tokens
from app.web import openapi
from app.web.dialect import Dialect

NAME = "openai"

DESCRIPTION = """\
OpenAI's API, for clients that were written for it: set their base URL to this server's `/v1`.

* Every error is an `error` object with `message`, `type`, `param` and `code`; every answer has an
  `X-Request-ID`.
* When the server has API keys, send one: `Authorization: Bearer <key>`.
"""

ROUTERS: tuple[APIRouter, ...] = (
    chat.router,
    completions.router,
    infill.router,
    tokens.router,
    models.router,
    health.router,
)

SCHEMAS: tuple[type[BaseModel], ...] = (ChatCompletionChunk,)
BODIES: tuple[type[BaseModel], ...] = (ChatBody,)
LARGE = frozenset({"/v1/chat/completions"})
"""Paths whose bodies may hold pictures."""


def _document() -> dict[str, Any]:
    router = APIRouter()
    for each in ROUTERS:
        router.include_router(
            each, generate_unique_id_function=lambda route: f"{NAME}_{route.name}"
        )
    return openapi.document(
        NAME, router.routes, SCHEMAS, BODIES, openapi.Style(DESCRIPTION, ErrorAnswer)
    )


DIALECT = Dialect(ROUTERS, errors.render, _document, LARGE)
