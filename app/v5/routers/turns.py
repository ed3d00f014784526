"""Answering again and counting, from v5 on with pictures."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from app.conversations.ask_with_images import resolve_with_images
from app.conversations.start import ask_again
from app.conversations.token_count import TokenCount, count_tokens
from app.dependencies import JSON_OR_NOTHING, Owner, Services, Vision, VisionServices
from app.v2.services.events import EventEncoder
from app.v4.models import turns as wire
from app.v4.routers.turns import Again, ConversationId, MessageId
from app.v4.services.answers import head
from app.v4.services.translate import options, token_count
from app.v5.models.chat import ChatAnswer
from app.v5.models.events import STREAM_DOCUMENTATION
from app.v5.routers.bodies import question
from app.v5.routers.chat import BODY, VISION_PROBLEMS
from app.v5.services.answers import done, whole_answer
from app.v5.services.translate import Question
from app.web.disconnect import unless_disconnected
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=VISION_PROBLEMS,
    dependencies=[JSON_OR_NOTHING],
    summary="Answer a question once more",
)
async def regenerate(
    conversation_id: ConversationId,
    message_id: MessageId,
    services: Services,
    owner: Owner,
    request: Request,
    body: Again = None,
) -> Response:
    """Make another answer to a stored question, beside those it has; it becomes the active one.

    The model sees the question's pictures again. The body may be left out; what it sets holds for
    this answer, `model` also for later ones.
    """
    turn = await ask_again(services, owner, conversation_id, message_id, options(body))
    answer = await unless_disconnected(request.receive, whole_answer(turn))
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate/stream",
    response_class=Response,
    responses=VISION_PROBLEMS | STREAM_DOCUMENTATION,
    dependencies=[JSON_OR_NOTHING],
    summary="Answer a question once more, and get the answer as it is made",
)
async def regenerate_stream(
    conversation_id: ConversationId,
    message_id: MessageId,
    services: Services,
    owner: Owner,
    body: Again = None,
) -> EventStream:
    """The same as server-sent events, in the order that `/chat/stream` has."""
    turn = await ask_again(services, owner, conversation_id, message_id, options(body))
    return EventStream(EventEncoder(head(turn), partial(done, turn)), turn.events())


@router.post(
    "/tokens",
    responses=VISION_PROBLEMS,
    openapi_extra=BODY,
    summary="Count the tokens of a chat request",
)
async def tokens(request: Request, vision: Vision, owner: Owner) -> wire.TokenCount:
    """Say how many tokens the model would read, without answering and without storing anything.

    The body is that of `/chat`: its system text, template, history and pictures count, and with a
    `conversation_id` the stored messages of the branch with theirs.
    """
    policy = vision.intake.policy
    async with question(request, policy, forms=False, kind=Question) as asked:
        return token_count(
            await unless_disconnected(request.receive, _counted(vision, owner, asked))
        )


async def _counted(vision: VisionServices, owner: str, asked: Question) -> TokenCount:
    services, decode = vision.conversations, asked.decoder(vision.intake)
    resolved = await resolve_with_images(services, owner, asked.request, decode)
    return await count_tokens(services, owner, resolved)
