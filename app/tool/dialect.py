"""All of the dialect: what ``app.dialects`` imports after the start."""

from __future__ import annotations

from app.tool.errors import render
from app.tool.models import ErrorAnswer, GenerateBody
from app.tool.router import router
from app.web import openapi
from app.web.dialect import Dialect

DESCRIPTION = """\
The routes of the HyperCLOVA X tool server, for its clients: give them this server's address.

* Every error has the same sentence in `detail` and `error`; every answer has an `X-Request-ID`.
* When the server has API keys, send one: `Authorization: Bearer <key>` or `X-API-Key: <key>`.
* There is no WebSocket.
"""

DIALECT = Dialect(
    "tool",
    (router,),
    render,
    openapi.Style(DESCRIPTION, ErrorAnswer),
    bodies=(GenerateBody,),
    large=frozenset({route.path for route in router.routes}),  # type: ignore[attr-defined]
)
