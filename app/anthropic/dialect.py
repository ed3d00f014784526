"""All of the dialect: what ``app.dialects`` imports after the start."""

from __future__ import annotations

from app.anthropic import errors
from app.anthropic.models.errors import ErrorAnswer
from app.anthropic.models.events import EVENTS
from app.anthropic.models.request import CountRequest, MessagesRequest
from app.anthropic.routers import messages
from app.web import openapi
from app.web.dialect import Dialect

DESCRIPTION = """\
Anthropic's Messages API, for clients that were written for it: set their base URL to this server,
without `/v1`.

* Every error has a `type` and a `message`; every answer has a `request-id`.
* When the server has API keys, send one: `X-API-Key: <key>` or `Authorization: Bearer <key>`.
* Names such as `claude-sonnet-4-5` are known only if the setting MODEL_ALIASES gives them to a
  model.
"""

DIALECT = Dialect(
    "anthropic",
    (messages.router,),
    errors.render,
    openapi.Style(DESCRIPTION, ErrorAnswer),
    schemas=tuple(EVENTS.values()),
    bodies=(MessagesRequest, CountRequest),
    large=frozenset({"/v1/messages", "/v1/messages/count_tokens"}),
)
