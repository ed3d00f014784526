"""``/chat`` and ``/vision/chat`` from v6 on: answers that go on without their reader."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.dependencies import Answers, Owner, Vision
from app.v5.models.bodies import FORM_FIELDS, json_or_form_schema
from app.v6.models.chat import EXAMPLES, ChatAnswer, ChatRequest
from app.v6.models.events import STREAM_DOCUMENTATION
from app.v6.models.options import FORM_FIELDS as NEW_FORM_FIELDS
from app.v6.routers.asking import (
    IN_BACKGROUND,
    PROBLEMS,
    answer_stream,
    answer_whole,
    asked_turn,
)
from app.web.openapi import json_schema
from app.web.sse import EventStream

router = APIRouter()

BODY = json_schema(ChatRequest, EXAMPLES)
FORM_BODY = json_or_form_schema(EXAMPLES, ChatRequest, (*FORM_FIELDS, *NEW_FORM_FIELDS))


@router.post(
    "/chat",
    tags=["chat"],
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=PROBLEMS | IN_BACKGROUND,
    openapi_extra=BODY,
    summary="Ask in a conversation that is kept, and get the whole answer",
)
async def chat(request: Request, vision: Vision, answering: Answers, owner: Owner) -> Response:
    """Say something to a model, perhaps with pictures and tools, and wait for all of its answer.

    Both are kept. Without `conversation_id` a new conversation begins. The model is shown the
    stored messages of the branch with their pictures, as far as they fit; `context` says what was
    left out. Hanging up stops the model, unless `on_disconnect` is `continue`; what it has said is
    kept. With `background` the answer is 202 and says where the answer can be read.
    """
    asked = await asked_turn(request, vision, owner)
    return await answer_whole(request, answering, asked)


@router.post(
    "/chat/stream",
    tags=["chat"],
    response_class=Response,
    responses=PROBLEMS | STREAM_DOCUMENTATION,
    openapi_extra=BODY,
    summary="Ask in a conversation that is kept, and get the answer as it is made",
)
async def chat_stream(
    request: Request, vision: Vision, answering: Answers, owner: Owner
) -> EventStream:
    """Say something to a model and read its answer as server-sent events; both are kept.

    The id of each event says how much of the answer has come with it. After a lost connection,
    `GET /conversations/{conversation_id}/messages/{message_id}/stream` goes on from there; so let
    `on_disconnect` be `continue`.
    """
    return answer_stream(answering, await asked_turn(request, vision, owner))


@router.post(
    "/vision/chat",
    tags=["vision"],
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=PROBLEMS | IN_BACKGROUND,
    openapi_extra=FORM_BODY,
    summary="Ask about pictures, and get the whole answer",
)
async def vision_chat(
    request: Request, vision: Vision, answering: Answers, owner: Owner
) -> Response:
    """Ask a model that sees about pictures, as JSON or with files in a form.

    It is `/chat` with another default model: that of VISION_MODEL_PATH, else `starter-vision`,
    else the first that sees.
    """
    asked = await asked_turn(request, vision, owner, vision_only=True)
    return await answer_whole(request, answering, asked)


@router.post(
    "/vision/chat/stream",
    tags=["vision"],
    response_class=Response,
    responses=PROBLEMS | STREAM_DOCUMENTATION,
    openapi_extra=FORM_BODY,
    summary="Ask about pictures, and get the answer as it is made",
)
async def vision_chat_stream(
    request: Request, vision: Vision, answering: Answers, owner: Owner
) -> EventStream:
    """The same as server-sent events, in the order that `/chat/stream` has."""
    asked = await asked_turn(request, vision, owner, vision_only=True)
    return answer_stream(answering, asked)
