"""``/vision``: questions about pictures, and which models see."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from app.dependencies import AppSettings, Owner, Pool, Vision
from app.v2.services.events import EventEncoder
from app.v4.services.answers import head
from app.v5.models.bodies import json_or_form_schema
from app.v5.models.chat import EXAMPLES, ChatAnswer
from app.v5.models.events import STREAM_DOCUMENTATION
from app.v5.models.vision import VisionInfo
from app.v5.routers.bodies import turn_of
from app.v5.routers.chat import VISION_PROBLEMS
from app.v5.services import vision as service
from app.v5.services.answers import done, whole_answer
from app.web.disconnect import unless_disconnected
from app.web.openapi import COMMON_ERRORS, problems
from app.web.sse import EventStream

router = APIRouter(tags=["vision"])

BODY = json_or_form_schema(EXAMPLES)


@router.post(
    "/vision/chat",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=VISION_PROBLEMS,
    openapi_extra=BODY,
    summary="Ask about pictures, and get the whole answer",
)
async def vision_chat(request: Request, vision: Vision, owner: Owner) -> Response:
    """Ask a model that sees about pictures, as JSON or with files in a form.

    It is `/chat` with another default model: that of VISION_MODEL_PATH, else `starter-vision`,
    else the first that sees. Question, pictures and answer are kept; later questions with the
    `conversation_id` are about the same pictures, without sending them again. `images` says of
    each what was sent, what is kept and what the model saw.
    """
    turn = await turn_of(request, vision, owner, vision_only=True)
    answer = await unless_disconnected(request.receive, whole_answer(turn))
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/vision/chat/stream",
    response_class=Response,
    responses=VISION_PROBLEMS | STREAM_DOCUMENTATION,
    openapi_extra=BODY,
    summary="Ask about pictures, and get the answer as it is made",
)
async def vision_chat_stream(request: Request, vision: Vision, owner: Owner) -> EventStream:
    """The same as server-sent events, in the order that `/chat/stream` has.

    `prefill` events show the pictures being read; `done` says what the model saw.
    """
    turn = await turn_of(request, vision, owner, vision_only=True)
    return EventStream(EventEncoder(head(turn), partial(done, turn)), turn.events())


@router.get(
    "/vision/info",
    response_description="Models and limits",
    responses=problems(*COMMON_ERRORS, version=5),
    summary="List the models that see, and what may be sent to them",
)
async def vision_info(pool: Pool, settings: AppSettings) -> VisionInfo:
    """List the models that see, what each takes, and what pictures may be like.

    `notice` is what a model's licence wants users to be shown: show it beside its answers.
    """
    return await service.info(pool, settings.media(), settings.largest_request())
