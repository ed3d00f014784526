"""``/conversations`` from v6 on: with everything that tools, thinking and developers said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.dependencies import Owner, Store
from app.v4.models.conversations import MessagesQuery
from app.v4.routers.conversations import ConversationId
from app.v6.models.conversations import ConversationMessages
from app.v6.services import conversations as service
from app.web.openapi import COMMON_ERRORS, problems

router = APIRouter(tags=["conversations"])


@router.get(
    "/conversations/{conversation_id}",
    response_model=ConversationMessages,
    response_description="The conversation and its newest messages",
    responses=problems(*COMMON_ERRORS, 404, 422, 503, version=6),
    summary="Open a conversation",
)
async def conversation(
    conversation_id: ConversationId,
    query: Annotated[MessagesQuery, Query()],
    database: Store,
    owner: Owner,
) -> Response:
    """Read a conversation and the newest of its messages, oldest first.

    Those that v4 and v5 leave out are there too, with `listed` false: tool calls, their results,
    and later system texts. `next_cursor` leads to the older ones. `branch=active` follows
    `previous_id` up from the end of the active branch, `branch=all` gives every message in the
    order of making. An answer that is being made has the status `generating` and the text it had a
    second ago.
    """
    found = await service.open_conversation(database, owner, conversation_id, query)
    return Response(found.model_dump_json(), media_type="application/json")
