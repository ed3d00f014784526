"""``POST /chat`` and ``/chat/stream``, from v5 on with pictures."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from app.dependencies import Owner, Vision
from app.v2.services.events import EventEncoder
from app.v4.services.answers import head
from app.v5.models.chat import EXAMPLES, ChatAnswer, ChatRequest
from app.v5.models.events import STREAM_DOCUMENTATION
from app.v5.routers.bodies import turn_of
from app.v5.services.answers import done, whole_answer
from app.web.disconnect import unless_disconnected
from app.web.openapi import CHAT_ERRORS, json_schema, problems
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])

VISION_PROBLEMS = problems(*CHAT_ERRORS, 502, version=5)
BODY = json_schema(ChatRequest, EXAMPLES)


@router.post(
    "/chat",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=VISION_PROBLEMS,
    openapi_extra=BODY,
    summary="Ask in a conversation that is kept, and get the whole answer",
)
async def chat(request: Request, vision: Vision, owner: Owner) -> Response:
    """Say something to a model, perhaps with pictures, and wait for all of its answer.

    Both are kept. Without `conversation_id` a new conversation begins. The model is shown the
    stored messages of the branch with their pictures, as far as they fit; `context` says what was
    left out. Pictures for which neither the request nor the conversation names a model go to one
    that sees. Hanging up stops the model, and what it has said so far is kept.
    """
    turn = await turn_of(request, vision, owner)
    answer = await unless_disconnected(request.receive, whole_answer(turn))
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/chat/stream",
    response_class=Response,
    responses=VISION_PROBLEMS | STREAM_DOCUMENTATION,
    openapi_extra=BODY,
    summary="Ask in a conversation that is kept, and get the answer as it is made",
)
async def chat_stream(request: Request, vision: Vision, owner: Owner) -> EventStream:
    """Say something to a model and read its answer as server-sent events; both are kept.

    The events are those of v4; `done` also tells what the model saw of the pictures.
    """
    turn = await turn_of(request, vision, owner)
    return EventStream(EventEncoder(head(turn), partial(done, turn)), turn.events())
