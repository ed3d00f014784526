"""``/conversations``: what is kept, listed, opened, changed and removed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response

from app.dependencies import JSON_ONLY, AppSettings, Owner, Store
from app.v4.models.conversations import (
    CHANGE_EXAMPLES,
    ConversationChange,
    ConversationDetail,
    ConversationMessages,
    ConversationPage,
    ConversationsQuery,
    MessagesQuery,
)
from app.v4.services import conversations as service
from app.web.openapi import COMMON_ERRORS, problems

router = APIRouter(tags=["conversations"])

ConversationId = Annotated[str, Path(description="Of the conversation.")]


@router.get(
    "/conversations",
    response_model=ConversationPage,
    response_description="A page of conversations",
    responses=problems(*COMMON_ERRORS, 422, 503, version=4),
    summary="List your conversations",
)
async def conversations(
    query: Annotated[ConversationsQuery, Query()],
    database: Store,
    settings: AppSettings,
    owner: Owner,
) -> Response:
    """List conversations, the last used first, without their messages.

    `query` looks for words, in any language, in all messages and titles; then those with the
    newest `match` come first. `next_cursor` leads to the next page. A conversation that is used
    meanwhile moves to the front of the list; the others are neither left out nor repeated.
    """
    page = await service.list_conversations(database, owner, query, settings.page_size)
    # A finished response: otherwise the framework would validate the answer again.
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/conversations/{conversation_id}",
    response_model=ConversationMessages,
    response_description="The conversation and its newest messages",
    responses=problems(*COMMON_ERRORS, 404, 422, 503, version=4),
    summary="Open a conversation",
)
async def conversation(
    conversation_id: ConversationId,
    query: Annotated[MessagesQuery, Query()],
    database: Store,
    owner: Owner,
) -> Response:
    """Read a conversation and the newest of its messages, oldest first.

    `next_cursor` leads to the older ones. The messages form a tree: `branch=active` follows the
    parents of `active_leaf_id`, `branch=all` gives every message in the order of making. An answer
    that is being made has the status `generating` and the text it had a second ago.
    """
    found = await service.open_conversation(database, owner, conversation_id, query)
    return Response(found.model_dump_json(), media_type="application/json")


@router.patch(
    "/conversations/{conversation_id}",
    response_description="The conversation as it is now",
    responses=problems(*COMMON_ERRORS, 400, 404, 409, 413, 415, 422, 503, version=4),
    dependencies=[JSON_ONLY],
    summary="Change the title or the active branch",
)
async def change_conversation(
    conversation_id: ConversationId,
    body: Annotated[ConversationChange, Body(openapi_examples=CHANGE_EXAMPLES)],
    database: Store,
    owner: Owner,
) -> ConversationDetail:
    """Give the conversation another title, or go on from another of its messages.

    With `active_leaf_id` the active branch ends with that message, also where others follow it:
    they stay in the tree. While an answer is being made, the branch stays as it is (409).
    """
    return await service.change(database, owner, conversation_id, body)


@router.delete(
    "/conversations/{conversation_id}",
    status_code=204,
    responses=problems(*COMMON_ERRORS, 404, 422, 503, version=4),
    summary="Delete a conversation",
)
async def delete_conversation(
    conversation_id: ConversationId, database: Store, owner: Owner
) -> None:
    """Delete a conversation and all of its messages for good.

    An answer that is being made ends with the error `conversation-not-found`.
    """
    await service.remove(database, owner, conversation_id)
