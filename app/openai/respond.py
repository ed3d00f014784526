"""Sends the answers to a request, whole or as they are made, and vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from msgspec.json import encode

from app.chat.choices import Asked, collect_choices, stream_choices
from app.chat.completion import Completion
from app.provider.pool.pool import ModelPool
from app.web.disconnect import unless_disconnected
from app.web.sse import Encoder, EventStream

LARGE_ANSWER = 2**16
"""Bytes of vectors or texts, from which on the answer is not written on the event loop."""

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


async def vectors(found: Sequence[bytes], fields: Callable[[], Mapping[str, Any]]) -> Response:
    """An answer with these vectors, which ``fields`` makes JSON of."""
    return await written(sum(map(len, found)), fields)


async def written(size: int, fields: Callable[[], Mapping[str, Any]]) -> Response:
    """An answer with what ``fields`` makes of about ``size`` bytes."""
    large = size > LARGE_ANSWER
    content = await asyncio.to_thread(_written, fields) if large else _written(fields)
    return Response(content, media_type="application/json")


def _written(fields: Callable[[], Mapping[str, Any]]) -> bytes:
    return encode(fields())
