"""Answering again, stopping, titling and counting."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from app.conversations.services import ConversationServices
from app.conversations.start import ask_again, resolve
from app.conversations.stop import stop
from app.conversations.titles import find_title
from app.conversations.token_count import TokenCount, count_tokens
from app.dependencies import JSON_ONLY, JSON_OR_NOTHING, Owner, Services
from app.v2.services.events import EventEncoder
from app.v4.models import turns as wire
from app.v4.models.chat import EXAMPLES, ChatAnswer, ChatRequest, RegenerateRequest
from app.v4.models.events import STREAM_DOCUMENTATION
from app.v4.models.turns import Stopped, Titled
from app.v4.services import translate
from app.v4.services.answers import done, head, whole_answer
from app.web.disconnect import unless_disconnected
from app.web.openapi import CHAT_ERRORS, problems
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])

CHAT_PROBLEMS = problems(*CHAT_ERRORS, version=4)

ConversationId = Annotated[str, Path(description="Of the conversation.")]
MessageId = Annotated[str, Path(description="Of the question, or of one of its answers.")]
Again = Annotated[RegenerateRequest | None, Body()]


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=CHAT_PROBLEMS,
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

    The body may be left out; what it sets holds for this answer, `model` also for later ones.
    """
    turn = await ask_again(services, owner, conversation_id, message_id, translate.options(body))
    answer = await unless_disconnected(request.receive, whole_answer(turn))
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/regenerate/stream",
    response_class=Response,
    responses=CHAT_PROBLEMS | STREAM_DOCUMENTATION,
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
    turn = await ask_again(services, owner, conversation_id, message_id, translate.options(body))
    return EventStream(EventEncoder(head(turn), partial(done, turn)), turn.events())


@router.post(
    "/conversations/{conversation_id}/stop",
    responses=problems(401, 403, 404, 421, 422, 500, 503, version=4),
    summary="Stop the answer that is being made",
)
async def stop_answer(conversation_id: ConversationId, services: Services, owner: Owner) -> Stopped:
    """End the running answer; what it has said is kept, and its stream ends with `done`.

    It may be made by another server on the same database. Without a running answer nothing happens.
    """
    return translate.stopped(conversation_id, await stop(services, owner, conversation_id))


@router.post(
    "/conversations/{conversation_id}/title",
    responses=CHAT_PROBLEMS,
    summary="Let the model find a title",
)
async def title(
    conversation_id: ConversationId, services: Services, owner: Owner, request: Request
) -> Titled:
    """Replace the title, which is the beginning of the first question, by one the model makes."""
    finding = find_title(services, owner, conversation_id)
    return Titled(id=conversation_id, title=await unless_disconnected(request.receive, finding))


@router.post(
    "/tokens",
    responses=CHAT_PROBLEMS,
    dependencies=[JSON_ONLY],
    summary="Count the tokens of a chat request",
)
async def tokens(
    body: Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)],
    services: Services,
    owner: Owner,
    request: Request,
) -> wire.TokenCount:
    """Say how many tokens the model would read, without answering and without storing anything.

    The body is that of `/chat`: its system text, template and history count, and with a
    `conversation_id` the stored messages of the branch.
    """
    counted = await unless_disconnected(request.receive, _counted(services, owner, body))
    return translate.token_count(counted)


async def _counted(services: ConversationServices, owner: str, body: ChatRequest) -> TokenCount:
    resolved = await resolve(services, owner, translate.turn_request(body))
    return await count_tokens(services, owner, resolved)
