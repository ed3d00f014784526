"""Answering again and counting, from v5 on with pictures."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from app.conversations.ask_with_images import Asked, Sight, any_model
from app.conversations.start import ask_again
from app.conversations.token_count import count
from app.dependencies import JSON_OR_NOTHING, Eyes, Owner, TurnDesk
from app.v2.services.events import EventEncoder
from app.v4.models.chat import RegenerateRequest
from app.v4.models.turns import TokenCount
from app.v4.routers.turns import Again, ConversationId, MessageId
from app.v4.services.answers import head
from app.v5.models.chat import ChatAnswer
from app.v5.models.events import STREAM_DOCUMENTATION
from app.v5.routers.bodies import question
from app.v5.routers.chat import BODY, SEEING_PROBLEMS
from app.v5.services.answers import done, whole_answer
from app.web.disconnect import unless_disconnected
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=SEEING_PROBLEMS,
    dependencies=[JSON_OR_NOTHING],
    summary="Answer a question once more",
)
async def regenerate(
    conversation_id: ConversationId,
    message_id: MessageId,
    desk: TurnDesk,
    owner: Owner,
    request: Request,
    body: Again = None,
) -> Response:
    """Make another answer to a stored question, beside those it has; it becomes the active one.

    The model sees the question's pictures again. The body may be left out; what it sets holds for
    this answer, `model` also for later ones.
    """
    turn = await ask_again(desk, owner, conversation_id, message_id, body or RegenerateRequest())
    answer = await unless_disconnected(request.receive, whole_answer(turn))
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate/stream",
    response_class=Response,
    responses=SEEING_PROBLEMS | STREAM_DOCUMENTATION,
    dependencies=[JSON_OR_NOTHING],
    summary="Answer a question once more, and get the answer as it is made",
)
async def regenerate_stream(
    conversation_id: ConversationId,
    message_id: MessageId,
    desk: TurnDesk,
    owner: Owner,
    body: Again = None,
) -> EventStream:
    """The same as server-sent events, in the order that `/chat/stream` has."""
    turn = await ask_again(desk, owner, conversation_id, message_id, body or RegenerateRequest())
    return EventStream(EventEncoder(head(turn), partial(done, turn)), turn.events())


@router.post(
    "/tokens",
    responses=SEEING_PROBLEMS,
    openapi_extra=BODY,
    summary="Count the tokens of a chat request",
)
async def tokens(request: Request, sight: Eyes, owner: Owner) -> TokenCount:
    """Say how many tokens the model would read, without answering and without storing anything.

    The body is that of `/chat`: its system text, template, history and pictures count, and with a
    `conversation_id` the stored messages of the branch with theirs.
    """
    async with question(request, sight.intake.policy, forms=False) as asked:
        return await unless_disconnected(request.receive, _counted(sight, owner, asked))


async def _counted(sight: Sight, owner: str, asked: Asked) -> TokenCount:
    body, images = await sight.prepared(owner, asked, any_model)
    return await count(sight.desk, owner, body, images)
