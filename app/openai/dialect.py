"""All of the dialect: what ``app.dialects`` imports after the start."""

from __future__ import annotations

from app.openai import errors
from app.openai.models.answers import ChatCompletionChunk
from app.openai.models.chat import ChatBody
from app.openai.models.errors import ErrorAnswer
from app.openai.routers import chat, completions, health, infill, models, tokens
from app.web import openapi
from app.web.dialect import Dialect

DESCRIPTION = """\
OpenAI's API, for clients that were written for it: set their base URL to this server's `/v1`.

* Every error is an `error` object with `message`, `type`, `param` and `code`; every answer has an
  `X-Request-ID`.
* When the server has API keys, send one: `Authorization: Bearer <key>`.
"""

DIALECT = Dialect(
    "openai",
    (
        chat.router,
        completions.router,
        infill.router,
        tokens.router,
        models.router,
        health.router,
    ),
    errors.render,
    openapi.Style(DESCRIPTION, ErrorAnswer),
    schemas=(ChatCompletionChunk,),
    bodies=(ChatBody,),
    large=frozenset({"/v1/chat/completions"}),
)
