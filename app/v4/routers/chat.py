"""``POST /chat`` and ``/chat/stream``: answers that are kept in a conversation."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from app.conversations.start import ask
from app.dependencies import JSON_ONLY, Owner, Services
from app.v2.services.events import EventEncoder
from app.v4.models.chat import EXAMPLES, ChatAnswer, ChatRequest
from app.v4.models.events import STREAM_DOCUMENTATION
from app.v4.services.answers import done, head, whole_answer
from app.v4.services.translate import turn_request
from app.web.disconnect import unless_disconnected
from app.web.openapi import CHAT_ERRORS, problems
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])

Question = Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)]


@router.post(
    "/chat",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=problems(*CHAT_ERRORS, version=4),
    dependencies=[JSON_ONLY],
    summary="Ask in a conversation that is kept, and get the whole answer",
)
async def chat(body: Question, services: Services, owner: Owner, request: Request) -> Response:
    """Say something to a model and wait for all of its answer; both are kept.

    Without `conversation_id` a new conversation begins. The model is shown the stored messages of
    the branch, as far as they fit; `context` says what was left out. Hanging up stops the model,
    and what it has said so far is kept.
    """
    turn = await ask(services, owner, turn_request(body))
    answer = await unless_disconnected(request.receive, whole_answer(turn))
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/chat/stream",
    response_class=Response,
    responses=problems(*CHAT_ERRORS, version=4) | STREAM_DOCUMENTATION,
    dependencies=[JSON_ONLY],
    summary="Ask in a conversation that is kept, and get the answer as it is made",
)
async def chat_stream(body: Question, services: Services, owner: Owner) -> EventStream:
    """Say something to a model and read its answer as server-sent events; both are kept.

    The events are those of v2. `message` says where the answer is stored, and `done` comes only
    once all of it is stored.
    """
    turn = await ask(services, owner, turn_request(body))
    return EventStream(EventEncoder(head(turn), partial(done, turn)), turn.events())
