"""``/conversations``, from v5 on with pictures."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from app.dependencies import AppSettings, Owner, Store
from app.v4.models.conversations import MessagesQuery
from app.v4.routers.conversations import ConversationId
from app.v4.routers.templates import IfNoneMatch
from app.v5.models.conversations import ConversationMessages
from app.v5.models.images import ImagePage
from app.v5.services import conversations as service
from app.v5.services import images
from app.web import etags
from app.web.openapi import COMMON_ERRORS, problems
from app.web.paging import PageQuery
from app.web.schema import Plain

router = APIRouter(tags=["conversations"])

READ_PROBLEMS = problems(*COMMON_ERRORS, 404, 422, 503, version=5)

Sha256 = Annotated[Plain, Path(description="Of the picture, as `images` of a message tell it.")]

PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "Its hash."}},
    },
    304: {"description": "If-None-Match names it."},
}

FOREVER = {
    # The content behind a hash never changes, but only its owner may see it.
    "Cache-Control": "private, max-age=31536000, immutable",
    "Vary": "Authorization, X-API-Key",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@router.get(
    "/conversations/{conversation_id}",
    response_model=ConversationMessages,
    response_description="The conversation and its newest messages",
    responses=READ_PROBLEMS,
    summary="Open a conversation",
)
async def conversation(
    conversation_id: ConversationId,
    query: Annotated[MessagesQuery, Query()],
    database: Store,
    owner: Owner,
) -> Response:
    """Read a conversation and the newest of its messages, oldest first, with their pictures.

    `next_cursor` leads to the older ones. The messages form a tree: `branch=active` follows the
    parents of `active_leaf_id`, `branch=all` gives every message in the order of making. An answer
    that is being made has the status `generating` and the text it had a second ago.
    """
    found = await service.open_conversation(database, owner, conversation_id, query)
    return Response(found.model_dump_json(), media_type="application/json")


@router.get(
    "/conversations/{conversation_id}/images",
    response_description="A page of pictures",
    responses=READ_PROBLEMS,
    summary="List the pictures of a conversation",
)
async def conversation_images(
    conversation_id: ConversationId,
    query: Annotated[PageQuery, Query()],
    database: Store,
    settings: AppSettings,
    owner: Owner,
) -> ImagePage:
    """List the pictures of all branches, in the order of asking.

    One that was sent twice is listed twice and kept once.
    """
    return await images.list_images(database, owner, conversation_id, query, settings.page_size)


@router.get(
    "/conversations/{conversation_id}/images/{sha256}",
    response_class=Response,  # its content is documented in full above
    responses=READ_PROBLEMS | PICTURE,
    summary="Get a picture",
)
async def conversation_image(
    conversation_id: ConversationId,
    sha256: Sha256,
    database: Store,
    owner: Owner,
    if_none_match: IfNoneMatch,
) -> Response:
    """Get a picture of the conversation as a PNG, as the model was given it.

    It carries nothing of the file that was sent but the picture.
    """
    known = etags.parsed("If-None-Match", if_none_match)
    content = await images.read_image(database, owner, conversation_id, sha256)
    headers = FOREVER | {"ETag": f'"{sha256}"'}
    if known and known.include(headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/png", headers=headers)
