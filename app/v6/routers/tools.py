"""``…/tool_results``: the model goes on with what its tool calls returned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.conversations.services import ConversationServices
from app.conversations.start import ToolResults, answer_results
from app.dependencies import JSON_ONLY, Answers, Owner, Services
from app.v4.routers.turns import ConversationId
from app.v6.models.chat import ChatAnswer
from app.v6.models.conversations import ToolResultsRequest
from app.v6.models.events import STREAM_DOCUMENTATION
from app.v6.routers.asking import (
    IN_BACKGROUND,
    PROBLEMS,
    AskedTurn,
    answer_stream,
    answer_whole,
)
from app.v6.services.translate import regenerate_request, tool_results
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])

CallsId = Annotated[str, Path(description="Of the message that calls the tools.")]


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/tool_results",
    response_model=ChatAnswer,
    response_description="The whole answer, stored",
    responses=PROBLEMS | IN_BACKGROUND,
    dependencies=[JSON_ONLY],
    summary="Give the results of tool calls, and get the answer",
)
async def tool_results_whole(
    conversation_id: ConversationId,
    message_id: CallsId,
    body: ToolResultsRequest,
    services: Services,
    answering: Answers,
    owner: Owner,
    request: Request,
) -> Response:
    """Store what the tool calls of a message returned, and let the model go on.

    It may call tools again, if the request offers some. The answer belongs to the same question.
    """
    asked = await _asked(services, owner, conversation_id, message_id, body)
    return await answer_whole(request, answering, asked)


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/tool_results/stream",
    response_class=Response,
    responses=PROBLEMS | STREAM_DOCUMENTATION,
    dependencies=[JSON_ONLY],
    summary="Give the results of tool calls, and get the answer as it is made",
)
async def tool_results_stream(
    conversation_id: ConversationId,
    message_id: CallsId,
    body: ToolResultsRequest,
    services: Services,
    answering: Answers,
    owner: Owner,
) -> EventStream:
    """The same as server-sent events, in the order that `/chat/stream` has."""
    asked = await _asked(services, owner, conversation_id, message_id, body)
    return answer_stream(answering, asked)


async def _asked(
    services: ConversationServices,
    owner: str,
    conversation_id: str,
    message_id: str,
    body: ToolResultsRequest,
) -> AskedTurn:
    given = ToolResults(message_id, tool_results(body.results))
    options = regenerate_request(body)
    turn = await answer_results(services, owner, conversation_id, given, options)
    return AskedTurn(turn, body)
