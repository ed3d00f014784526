"""Conversations as files: ``/conversations/{id}/export`` and ``/conversations/import``."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Path, Query, Request, Response

from app.dependencies import JSON_ONLY, Owner, Store
from app.v4.models.conversations import ConversationDetail
from app.v4.models.transfer import IMPORT_EXAMPLES, ExportQuery, Transfer
from app.v4.services import transfer as service
from app.web.openapi import COMMON_ERRORS, problems

router = APIRouter(tags=["conversations"])

FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Transfer"}},
            "text/markdown": {"schema": {"type": "string"}},
        },
        "headers": {
            "Content-Disposition": {
                "schema": {"type": "string"},
                "description": "A file name made from the title.",
            }
        },
    }
}

MADE: dict[int | str, dict[str, Any]] = {
    201: {
        "headers": {
            "Location": {
                "schema": {"type": "string"},
                "description": "The address of the conversation.",
            }
        }
    }
}


@router.get(
    "/conversations/{conversation_id}/export",
    response_class=Response,  # its content is documented in full above
    responses=problems(*COMMON_ERRORS, 404, 422, 503, version=4) | FILE,
    summary="Export a conversation as a file",
)
async def export_conversation(
    conversation_id: Annotated[str, Path(description="Of the conversation.")],
    query: Annotated[ExportQuery, Query()],
    database: Store,
    owner: Owner,
) -> Response:
    """Download a conversation.

    `json` holds every branch and can be imported again, here or on another server. `markdown` is
    the active branch, to be read: each message stands in a quote, or in a code block where it
    holds HTML, so that none can pass itself off as another.
    """
    return download(await service.export(database, owner, conversation_id, query.format))


def download(file: service.Download) -> Response:
    """The answer that a browser saves as a file."""
    headers = {"Content-Disposition": attachment(file.name)}
    return Response(file.text, headers=headers, media_type=file.media_type)


def attachment(name: str) -> str:
    """The header that names a file: in UTF-8 (RFC 5987), and in ASCII for old clients."""
    stem, _, ending = name.rpartition(".")
    plain = stem.encode("ascii", "ignore").decode().strip(" .") or "conversation"
    return f"attachment; filename=\"{plain}.{ending}\"; filename*=UTF-8''{quote(name, safe='')}"


@router.post(
    "/conversations/import",
    status_code=201,
    response_description="The conversation that was made",
    responses=problems(*COMMON_ERRORS, 400, 413, 415, 422, 503, version=4) | MADE,
    dependencies=[JSON_ONLY],
    summary="Import a conversation from a file",
)
async def import_conversation(
    body: Annotated[Transfer, Body(openapi_examples=IMPORT_EXAMPLES)],
    database: Store,
    owner: Owner,
    request: Request,
    response: Response,
) -> ConversationDetail:
    """Store a conversation that was exported, or written by another program in the same form.

    It gets new ids and keeps its times. An answer that was being made is kept as stopped. The
    file may be as large as any body: MAX_REQUEST_BYTES.
    """
    made = await service.import_file(database, owner, body)
    return located(made, request, response)


def located(made: ConversationDetail, request: Request, response: Response) -> ConversationDetail:
    """The conversation that an import has made; the answer says where it is."""
    response.headers["Location"] = f"{request.url.path.removesuffix('import')}{made.id}"
    return made
