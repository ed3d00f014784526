"""Sends the answers to a request, whole or as they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from msgspec.json import encode

from app.chat.choices import Asked, collect_choices, stream_choices
from app.chat.completion import Completion
from app.provider.pool.pool import ModelPool
from app.web.disconnect import unless_disconnected
from app.web.sse import Encoder, EventStream

NO_HEADERS: Mapping[str, str] = {}


def stream(
    pool: ModelPool, asked: Asked, encoder: Encoder, headers: Mapping[str, str] = NO_HEADERS
) -> Response:
    """The answers as they are made."""
    sent = EventStream(encoder, stream_choices(pool, asked))
    sent.headers.update(headers)
    return sent


async def whole(
    request: Request,
    pool: ModelPool,
    asked: Asked,
    fields: Callable[[Sequence[Completion]], Mapping[str, Any]],
    headers: Mapping[str, str] = NO_HEADERS,
) -> Response:
    """The whole answers, with the fields that ``fields`` makes of them."""
    answers = await unless_disconnected(request.receive, collect_choices(pool, asked))
    return Response(encode(fields(answers)), headers=headers, media_type="application/json")
