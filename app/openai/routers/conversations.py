"""``/v1/conversations``: what other dialects show as conversations, item by item."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query

from app.conversations.store import conversations as store
from app.dependencies import JSON_ONLY, JSON_OR_NOTHING, Owner, Vision
from app.openai import conversation_service as service
from app.openai.models.conversations import (
    CREATE_EXAMPLES,
    ConversationBody,
    ConversationObject,
    DeletedConversation,
    ItemList,
    ItemsBody,
    MetadataBody,
)
from app.openai.models.errors import COMMON_ERRORS, errors
from app.openai.routers.services_of import services_of
from app.openai.translate.item_list import Order, item_list

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])

PROBLEMS = errors(400, *COMMON_ERRORS, 404, 409, 413, 415, 429, 503)

ConversationId = Annotated[str, Path(max_length=200)]
ItemId = Annotated[str, Path(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=200, description="An item of the page before.")]

Fields = dict[str, Any]


@router.post(
    "", response_model=ConversationObject, responses=PROBLEMS, dependencies=[JSON_OR_NOTHING]
)
async def create_conversation(
    vision: Vision,
    owner: Owner,
    body: Annotated[ConversationBody | None, Body(openapi_examples=CREATE_EXAMPLES)] = None,
) -> Fields:
    """Make a conversation, which responses and other dialects can go on with."""
    body = body or ConversationBody()
    return await service.create(services_of(vision, owner), body.items, body.metadata)


@router.get("/{conversation_id}", response_model=ConversationObject, responses=PROBLEMS)
async def get_conversation(conversation_id: ConversationId, vision: Vision, owner: Owner) -> Fields:
    """A conversation, whichever dialect it was made in."""
    name = service.conversation_id_of(conversation_id)
    return await service.read(services_of(vision, owner), name)


@router.post(
    "/{conversation_id}",
    response_model=ConversationObject,
    responses=PROBLEMS,
    dependencies=[JSON_ONLY],
)
async def update_conversation(
    conversation_id: ConversationId, body: MetadataBody, vision: Vision, owner: Owner
) -> Fields:
    """Replace the metadata of a conversation."""
    name = service.conversation_id_of(conversation_id)
    return await service.set_metadata(services_of(vision, owner), name, body.metadata)


@router.delete("/{conversation_id}", response_model=DeletedConversation, responses=PROBLEMS)
async def delete_conversation(
    conversation_id: ConversationId, vision: Vision, owner: Owner
) -> Fields:
    """Delete a conversation with all of its items and responses."""
    name = service.conversation_id_of(conversation_id)
    await vision.conversations.database.delete(store.remove, owner, name)
    return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}


@router.get("/{conversation_id}/items", response_model=ItemList, responses=PROBLEMS)
async def list_items(
    conversation_id: ConversationId,
    vision: Vision,
    owner: Owner,
    limit: Limit = 20,
    after: After = None,
    order: Order = "desc",
) -> Fields:
    """The items of the active branch, the newest first unless `order` is `asc`."""
    name = service.conversation_id_of(conversation_id)
    query = service.PageQuery(limit, after, order)
    return await service.list_items(services_of(vision, owner), name, query)


@router.post(
    "/{conversation_id}/items",
    response_model=ItemList,
    responses=PROBLEMS,
    dependencies=[JSON_ONLY],
)
async def create_items(
    conversation_id: ConversationId, body: ItemsBody, vision: Vision, owner: Owner
) -> Fields:
    """Store items at the end of the active branch; nothing answers them."""
    name = service.conversation_id_of(conversation_id)
    return item_list(await service.add_items(services_of(vision, owner), name, body.items))


@router.get("/{conversation_id}/items/{item_id}", response_model=dict[str, Any], responses=PROBLEMS)
async def get_item(
    conversation_id: ConversationId, item_id: ItemId, vision: Vision, owner: Owner
) -> Fields:
    """One item."""
    name = service.conversation_id_of(conversation_id)
    return await service.read_item(services_of(vision, owner), name, item_id)


@router.delete(
    "/{conversation_id}/items/{item_id}", response_model=ConversationObject, responses=PROBLEMS
)
async def delete_item(
    conversation_id: ConversationId, item_id: ItemId, vision: Vision, owner: Owner
) -> Fields:
    """Delete the message of an item, with all of its items. No other one may follow it."""
    services = services_of(vision, owner)
    name = service.conversation_id_of(conversation_id)
    return await service.remove_item(services, name, item_id)
