"""``POST /v1/messages`` and ``POST /v1/messages/count_tokens``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.anthropic.models.answer import AnswerMessage, TokenCount
from app.anthropic.models.errors import errors
from app.anthropic.models.events import stream_content
from app.anthropic.models.examples import COUNT_EXAMPLES, EXAMPLES
from app.anthropic.models.request import CountRequest, MessagesRequest
from app.anthropic.translate import tools
from app.anthropic.translate.answer import message
from app.anthropic.translate.events import EventEncoder
from app.anthropic.translate.messages import image_sources, require_question
from app.anthropic.translate.prompt import prompt
from app.chat.answer import stream_answer
from app.chat.completion import collect
from app.chat.images import decode_images
from app.chat.model_choice import ChosenModel, choose_model
from app.dependencies import AppSettings, Owner, Vision, VisionServices
from app.provider.types import Prompt
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import JSON, json_body
from app.web.openapi import json_schema
from app.web.skipped_tools import SKIPPED_TOOLS, skipped_tools_header
from app.web.sse import EventStream

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1", tags=["messages"])

BETA = {
    "name": "beta",
    "in": "query",
    "required": False,
    "description": "Taken and ignored.",
    "schema": {"type": "string"},
}


def _described(model: type[BaseModel], examples: Mapping[str, Any]) -> dict[str, Any]:
    """What the framework does not see, because it does not read it."""
    return {"parameters": [BETA], **json_schema(model, examples)}


@router.post(
    "/messages",
    response_model=AnswerMessage,
    response_description="The whole answer; with `stream` its pieces, as server-sent events",
    responses=errors() | {200: {"content": {"text/event-stream": stream_content()}}},
    openapi_extra=_described(MessagesRequest, EXAMPLES),
    summary="Answer a conversation",
)
async def messages(
    request: Request, vision: Vision, settings: AppSettings, owner: Owner
) -> Response:
    """Answer a conversation, whole or as it is made. Nothing is stored. Hanging up stops the model.

    Tools of Anthropic's own, such as web search, are not run: the model does not see them, and
    the header X-Skipped-Tools names them.
    """
    async with json_body(request, MessagesRequest) as body:
        require_question(body.messages, settings.max_history_length)
        model, asked = await unless_disconnected(request.receive, _ask(body, vision, owner))
    events = stream_answer(vision.conversations.pool, model.card, asked)
    if body.stream:
        stream = EventStream(EventEncoder(model.name), events)
        stream.headers.update(_headers(request, body))
        return stream
    completion = await unless_disconnected(request.receive, collect(events))
    return _json(request, body, message(model.name, completion))


@router.post(
    "/messages/count_tokens",
    response_model=TokenCount,
    response_description="How long it is",
    responses=errors(),
    openapi_extra=_described(CountRequest, COUNT_EXAMPLES),
    summary="Count the tokens of a prompt",
)
async def count_tokens(
    request: Request, vision: Vision, settings: AppSettings, owner: Owner
) -> Response:
    """Count the tokens that the model would read. It is loaded if need be, and generates none."""
    async with json_body(request, CountRequest) as body:
        require_question(body.messages, settings.max_history_length)
        tokens = await unless_disconnected(request.receive, _count(body, vision, owner))
    return _json(request, body, {"input_tokens": tokens})


async def _ask(
    body: CountRequest, vision: VisionServices, owner: str
) -> tuple[ChosenModel, Prompt]:
    """The model and what it is asked. A model that is refused costs no decoding of images."""
    services, sources = vision.conversations, image_sources(body)
    find = partial(services.find_template, owner)
    model = await choose_model(services.pool, body.model, find, images=bool(sources))
    images = await decode_images(vision.intake, model.card, sources)
    return model, await prompt(body, images, model.template, owner)


async def _count(body: CountRequest, vision: VisionServices, owner: str) -> int:
    model, asked = await _ask(body, vision, owner)
    return (await vision.conversations.pool.size(model.card, asked)).tokens


def _json(request: Request, body: CountRequest, fields: Mapping[str, Any]) -> Response:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return Response(text, headers=_headers(request, body), media_type=JSON)


def _headers(request: Request, body: CountRequest) -> dict[str, str]:
    headers = {"request-id": request.state.request_id}
    if skipped := skipped_tools_header(tools.skipped(body)):
        names = skipped[SKIPPED_TOOLS]
        log.info("request %s: tools that are not run here: %s", request.state.request_id, names)
    return headers | skipped
