"""``POST /tool/generate_hyperclovax_vision`` and ``…_stream``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from msgspec.json import encode

from app.chat.answer import stream_answer
from app.chat.completion import collect
from app.chat.vision_question import find_model, vision_prompt
from app.dependencies import Owner, Vision, VisionServices
from app.provider.card import ModelCard
from app.provider.types import Prompt
from app.tool.models import EXAMPLES, ErrorAnswer, GenerateBody, Generated
from app.tool.streams import EventEncoder, TextEncoder, TextStream
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import JSON, json_body
from app.web.openapi import CHAT_ERRORS, Responses, json_schema
from app.web.problem_details import TITLES
from app.web.sse import EventStream

router = APIRouter(prefix="/tool", tags=["tool"])

EVENTS = "text/event-stream"
MODEL = "X-Model"
"""Header that names the model that answers."""

_STREAMED = {
    "text/plain": {"schema": {"type": "string"}},
    EVENTS: {"schema": {"type": "string"}},
}
_HEADERS = {MODEL: {"schema": {"type": "string"}, "description": "The model that answers."}}
_BODY = json_schema(GenerateBody, EXAMPLES)


def _errors() -> Responses:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{ErrorAnswer.__name__}"}}}
    return {status: {"description": TITLES[status], "content": content} for status in CHAT_ERRORS}


def _answers(content: dict[str, Any]) -> Responses:
    return {**_errors(), 200: {"headers": _HEADERS, "content": content}}


@router.post(
    "/generate_hyperclovax_vision",
    response_model=Generated,
    response_description="The whole answer, or a stream",
    responses=_answers(_STREAMED),
    openapi_extra=_BODY,
    summary="Answer a question, about a picture or not",
)
async def generate(
    request: Request,
    vision: Vision,
    owner: Owner,
    stream: Annotated[bool, Query(description="As in the body.")] = False,
) -> Response:
    """Answer a question as the HyperCLOVA X tool server does, whole or as it is made.

    A HyperCLOVA X model answers, or without one the default vision model; the header `X-Model`
    names it. A stream is bare text, or with `Accept: text/event-stream` events: `delta` with
    `text`, then `done` or `error`.
    """
    body, card, prompt = await _asked(request, vision, owner)
    if stream or body.stream:
        return _stream(request, vision, card, prompt)
    events = stream_answer(vision.conversations.pool, card, prompt)
    answer = await unless_disconnected(request.receive, collect(events))
    found = Generated(
        result=answer.text, text=f"assistant\n{answer.text}", finish_reason=answer.end.reason
    )
    return Response(encode(found.model_dump()), headers={MODEL: card.id}, media_type=JSON)


@router.post(
    "/generate_hyperclovax_vision_stream",
    response_class=Response,
    response_description="The answer as it is made",
    responses=_answers(_STREAMED),
    openapi_extra=_BODY,
    summary="Answer a question as a stream",
)
async def generate_stream(request: Request, vision: Vision, owner: Owner) -> Response:
    """Answer a question as it is made, as bare text or as events."""
    _, card, prompt = await _asked(request, vision, owner)
    return _stream(request, vision, card, prompt)


async def _asked(
    request: Request, vision: VisionServices, owner: str
) -> tuple[GenerateBody, ModelCard, Prompt]:
    """The model is found first: one that is refused costs no decoding."""
    async with json_body(request, GenerateBody) as body:
        card = await find_model(vision.conversations.pool, images=bool(body.question.picture))
        asking = vision_prompt(body.question, vision.intake, card, owner)
        prompt = await unless_disconnected(request.receive, asking)
    return body, card, prompt


def _stream(
    request: Request, vision: VisionServices, card: ModelCard, prompt: Prompt
) -> EventStream:
    events = stream_answer(vision.conversations.pool, card, prompt)
    if EVENTS in request.headers.get("accept", ""):
        sent = EventStream(EventEncoder(), events)
    else:
        sent = TextStream(TextEncoder(), events)
    sent.headers[MODEL] = card.id
    return sent
