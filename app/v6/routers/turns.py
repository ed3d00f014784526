"""Answering again, reading an answer, and counting, from v6 on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response

from app.conversations.ask_with_images import resolve_with_images
from app.conversations.services import ConversationServices
from app.conversations.start import ask_again
from app.conversations.token_count import TokenCount, count_tokens
from app.dependencies import JSON_OR_NOTHING, Answers, Owner, Services, Vision, VisionServices
from app.v4.models import turns as wire
from app.v4.routers.turns import ConversationId, MessageId
from app.v4.services.translate import token_count
from app.v5.routers.bodies import question
from app.v6.models.chat import ChatAnswer, RegenerateRequest
from app.v6.models.events import STREAM_DOCUMENTATION
from app.v6.routers.asking import (
    IN_BACKGROUND,
    PROBLEMS,
    AskedTurn,
    answer_stream,
    answer_whole,
)
from app.v6.routers.chat import BODY
from app.v6.services.answers import stored_done, stored_head
from app.v6.services.events import EventEncoder, read_position
from app.v6.services.translate import Question, regenerate_request
from app.web.disconnect import unless_disconnected
from app.web.openapi import COMMON_ERRORS, problems
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])

Again = Annotated[RegenerateRequest | None, Body()]
AnswerId = Annotated[str, Path(description="Of the answer.")]
After = Annotated[
    str | None,
    Query(description="The id of the last event that came, or how many characters of the text."),
]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", description="The same, as browsers send it; it wins over `after`."
    ),
]


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=PROBLEMS | IN_BACKGROUND,
    dependencies=[JSON_OR_NOTHING],
    summary="Answer a question once more",
)
async def regenerate(
    conversation_id: ConversationId,
    message_id: MessageId,
    services: Services,
    answering: Answers,
    owner: Owner,
    request: Request,
    body: Again = None,
) -> Response:
    """Make another answer to a stored question, beside those it has; it becomes the active one.

    The model sees the question's pictures again. The body may be left out; what it sets holds for
    this answer, `model` also for later ones.
    """
    asked = await _asked_again(services, owner, conversation_id, message_id, body)
    return await answer_whole(request, answering, asked)


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate/stream",
    response_class=Response,
    responses=PROBLEMS | STREAM_DOCUMENTATION,
    dependencies=[JSON_OR_NOTHING],
    summary="Answer a question once more, and get the answer as it is made",
)
async def regenerate_stream(
    conversation_id: ConversationId,
    message_id: MessageId,
    services: Services,
    answering: Answers,
    owner: Owner,
    body: Again = None,
) -> EventStream:
    """The same as server-sent events, in the order that `/chat/stream` has."""
    asked = await _asked_again(services, owner, conversation_id, message_id, body)
    return answer_stream(answering, asked)


async def _asked_again(
    services: ConversationServices,
    owner: str,
    conversation_id: str,
    message_id: str,
    body: RegenerateRequest | None,
) -> AskedTurn:
    body = body or RegenerateRequest()
    turn = await ask_again(services, owner, conversation_id, message_id, regenerate_request(body))
    return AskedTurn(turn, body)


@router.get(
    "/conversations/{conversation_id}/messages/{message_id}/stream",
    response_class=Response,
    responses=problems(*COMMON_ERRORS, 404, 422, 503, version=6) | STREAM_DOCUMENTATION,
    summary="Read an answer from where a stream broke off",
)
async def message_stream(
    conversation_id: ConversationId,
    message_id: AnswerId,
    answering: Answers,
    owner: Owner,
    after: After = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Read an answer as server-sent events: one that is being made, wherever, or a stored one.

    It begins after what `Last-Event-ID` or `after` says has come, or at the beginning; it ends as
    the answer has ended, with `done` or `error`. If what came is not what is kept, because the
    server was killed before it could store it, one `reset` carries the stored text. Any number of
    clients may read; none of them stops the answer by hanging up.
    """
    position = read_position(message_id, last_event_id, after)
    reader = await answering.join(owner, conversation_id, message_id, position)
    encoder = EventEncoder(stored_head(reader.answer), stored_done, position)
    return EventStream(encoder, reader, at_once=True)


@router.post(
    "/tokens",
    responses=PROBLEMS,
    openapi_extra=BODY,
    summary="Count the tokens of a chat request",
)
async def tokens(request: Request, vision: Vision, owner: Owner) -> wire.TokenCount:
    """Say how many tokens the model would read, without answering and without storing anything.

    The body is that of `/chat`: its system text, template, history, tools and pictures count, and
    with a `conversation_id` the stored messages of the branch with theirs.
    """
    async with question(request, vision.intake.policy, forms=False, kind=Question) as asked:
        return token_count(
            await unless_disconnected(request.receive, _counted(vision, owner, asked))
        )


async def _counted(vision: VisionServices, owner: str, asked: Question) -> TokenCount:
    services, decode = vision.conversations, asked.decoder(vision.intake)
    resolved = await resolve_with_images(services, owner, asked.request, decode)
    return await count_tokens(services, owner, resolved)
