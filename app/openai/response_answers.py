"""How a response is sent: whole, as it is made, or as one that is made in the background."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from msgspec.json import encode

from app.conversations.answering import Answering
from app.conversations.read_position import ReadPosition
from app.conversations.store.answers import StoredAnswer
from app.idempotency.outcome import outlive_client
from app.openai.response_service import AskedResponse
from app.openai.response_stream import ResponseEncoder
from app.openai.translate.logprobs import chat_logprobs
from app.openai.translate.response_items import answer_items
from app.openai.translate.responses import (
    ResponseHead,
    end_fields,
    head_of_stored,
    item_status,
)
from app.provider.types import End, Part, TextPart, ThinkingPart
from app.web.disconnect import unless_disconnected
from app.web.skipped_tools import skipped_tools_header
from app.web.sse import EventStream

NO_HEADERS: Mapping[str, str] = {}


def as_json(fields: Mapping[str, Any], headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """These fields."""
    return Response(encode(fields), headers=headers, media_type="application/json")


async def whole(request: Request, answering: Answering, asked: AskedResponse) -> Response:
    """The whole response; hanging up stops it."""
    making = answering.finish(asked.turn, stops=True)
    end = await unless_disconnected(request.receive, making)
    return as_json(_whole_fields(asked, end), skipped_tools_header(asked.skipped))


def _whole_fields(asked: AskedResponse, end: End) -> dict[str, Any]:
    content = asked.turn.live.content
    message = (ThinkingPart(content.thinking), TextPart(content.text))
    parts: tuple[Part, ...] = (*message, *content.tool_calls)
    output = answer_items(asked.head.key, parts, item_status(end), _logprobs(asked))
    return asked.head.fields(**end_fields(end, parts, output, int(time.time())))


def _logprobs(asked: AskedResponse) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = chat_logprobs(asked.turn.live.tokens)["content"]
    return content


def streamed(answering: Answering, asked: AskedResponse) -> EventStream:
    """The response as it is made; hanging up stops it."""
    encoder = ResponseEncoder(asked.head, logprobs=lambda: _logprobs(asked))
    sent = EventStream(encoder, answering.read(asked.turn, stops=True))
    sent.headers.update(skipped_tools_header(asked.skipped))
    return sent


async def in_background(
    answering: Answering, owner: str, asked: AskedResponse, *, stream: bool
) -> Response:
    """The response as it begins, or its events; hanging up changes nothing."""
    await answering.start_in_background(asked.turn)
    outlive_client()
    headers = skipped_tools_header(asked.skipped)
    if not stream:
        return as_json(asked.head.fields(status="queued"), headers)
    sent = await _joined(answering, owner, asked.head, -1)
    sent.headers.update(headers)
    return sent


async def resumed(answering: Answering, owner: str, found: StoredAnswer, after: int) -> EventStream:
    """The events of a stored response that follow one, as they come."""
    return await _joined(answering, owner, head_of_stored(found), after)


async def _joined(answering: Answering, owner: str, head: ResponseHead, after: int) -> EventStream:
    reader = await answering.join(owner, head.conversation_id, head.answer_id, ReadPosition())
    return EventStream(ResponseEncoder(head, after), reader, at_once=True)
