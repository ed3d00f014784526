"""Conversations as files, from v6 on with all of their messages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from app.dependencies import AppSettings, Owner, Store, Vision
from app.v4.models.conversations import ConversationDetail
from app.v4.routers.transfer import FILE, MADE, download, located
from app.v5.models.transfer import ExportQuery
from app.v6.models.transfer import EXAMPLES, Transfer
from app.v6.services import transfer as service
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import COMMON_ERRORS, json_schema, problems

router = APIRouter(tags=["conversations"])


@router.get(
    "/conversations/{conversation_id}/export",
    response_class=Response,  # its content is documented in full in FILE
    responses=problems(*COMMON_ERRORS, 404, 422, 503, version=6) | FILE,
    summary="Export a conversation as a file",
)
async def export_conversation(
    conversation_id: Annotated[str, Path(description="Of the conversation.")],
    query: Annotated[ExportQuery, Query()],
    database: Store,
    settings: AppSettings,
    owner: Owner,
) -> Response:
    """Download a conversation.

    `json` holds every branch with its pictures, thinking, tool calls and their results, and can be
    imported again, here or on another server; `images=false` leaves the pictures out. `markdown`
    is the active branch without all that, to be read.
    """
    largest = settings.largest_request()
    return download(await service.export(database, owner, conversation_id, query, largest))


@router.post(
    "/conversations/import",
    status_code=201,
    response_description="The conversation that was made",
    responses=problems(*COMMON_ERRORS, 400, 413, 415, 422, 429, 503, version=6) | MADE,
    openapi_extra=json_schema(Transfer, EXAMPLES),
    summary="Import a conversation from a file",
)
async def import_conversation(
    database: Store, vision: Vision, owner: Owner, request: Request, response: Response
) -> ConversationDetail:
    """Store a conversation that was exported, or written by another program in the same form.

    It gets new ids and keeps its times. An answer that was being made is kept as stopped. Pictures
    are checked and decoded like those of a question. The file may be as large as any body with
    pictures: MAX_VISION_REQUEST_BYTES.
    """
    async with json_body(request, Transfer) as file:
        storing = service.import_file(database, vision.intake, owner, file)
        made = await unless_disconnected(request.receive, storing)
    return located(made, request, response)
