"""What the routes for conversations do, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.chat.completion import find_chat_model
from app.chat.images import decode_images
from app.conversations import read_messages
from app.conversations.defaults import METADATA
from app.conversations.errors import ConversationNotFound, MessageNotFound
from app.conversations.read_messages import ReadMessage
from app.conversations.store import conversations, input_turns, last_messages
from app.conversations.store.answers import AnswerKey, StoredAnswer
from app.openai.item_references import find_item, with_references
from app.openai.models.response_input import InputItem
from app.openai.response_service import ResponseServices
from app.openai.translate import response_ids as ids
from app.openai.translate.item_list import Fields, Order, items_of, page
from app.openai.translate.response_input import image_sources, input_messages
from app.openai.translate.response_items import message_items
from app.provider.types import Message
from app.storage.tables import Conversation


def conversation_id_of(name: str) -> str:
    """The conversation of that id; raises ConversationNotFound."""
    found = ids.conversation_of(name)
    if found is None:
        raise ConversationNotFound(name)
    return found


def conversation_fields(found: Conversation) -> Fields:
    """A conversation as the wire has it."""
    return {
        "id": ids.conversation_name(found.id),
        "object": "conversation",
        "created_at": found.created_at // 1000,
        "metadata": found.setup.get(METADATA, {}),
    }


async def create(
    services: ResponseServices, items: Sequence[InputItem], metadata: Mapping[str, str]
) -> Fields:
    """Make a conversation, which may begin with some items."""
    messages = await _messages(services, items)
    database, owner = services.conversations.database, services.owner
    setup: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    made = await database.write(input_turns.create, owner, setup, messages)
    return await read(services, made)


async def read(services: ResponseServices, conversation_id: str) -> Fields:
    """A conversation; raises ConversationNotFound."""
    database = services.conversations.database
    found = await database.read(conversations.find_owned, services.owner, conversation_id)
    return conversation_fields(found)


async def set_metadata(
    services: ResponseServices, conversation_id: str, metadata: Mapping[str, str]
) -> Fields:
    """Replace the metadata; raises ConversationNotFound."""
    database = services.conversations.database
    values = {METADATA: dict(metadata)}
    key = (services.owner, conversation_id)
    return conversation_fields(await database.write(conversations.change_setup, *key, values))


async def add_items(
    services: ResponseServices, conversation_id: str, items: Sequence[InputItem]
) -> list[Fields]:
    """Store items at the end of the active branch.

    Raises ConversationNotFound, ConversationBusy.
    """
    await read(services, conversation_id)
    messages = await _messages(services, items)
    database, owner = services.conversations.database, services.owner
    stored = await database.write(input_turns.append, owner, conversation_id, messages)
    added = zip(stored, messages, strict=True)
    return [
        item
        for name, message in added
        for item in message_items(AnswerKey(conversation_id, name), message)
    ]


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which of the items are wanted."""

    limit: int
    after: str | None
    order: Order


async def list_items(services: ResponseServices, conversation_id: str, query: PageQuery) -> Fields:
    """A page of the items of the active branch; raises ConversationNotFound, InvalidParameter."""
    database, owner = services.conversations.database, services.owner
    found = await database.read(read_messages.read_branch, owner, conversation_id)
    return await item_page(services, conversation_id, found, query)


async def list_input(services: ResponseServices, answer: StoredAnswer, query: PageQuery) -> Fields:
    """A page of what an answer was asked with; raises InvalidParameter."""
    database, owner = services.conversations.database, services.owner
    found = await database.read(read_messages.read_input, owner, answer)
    return await item_page(services, answer.row.conversation_id, found, query)


async def item_page(
    services: ResponseServices,
    conversation_id: str,
    messages: Sequence[ReadMessage],
    query: PageQuery,
) -> Fields:
    """A page of items; images are read for these alone."""
    wanted = page(items_of(conversation_id, messages), query.limit, query.after, query.order)
    shown = {ids.key_of_item(item["id"]) for item in wanted["data"]}
    some = [one for one in messages if AnswerKey(conversation_id, one.id) in shown]
    database = services.conversations.database
    filled = await database.read(read_messages.fill_images, conversation_id, some)
    by_id = {item["id"]: item for item in items_of(conversation_id, filled)}
    return wanted | {"data": [by_id[item["id"]] for item in wanted["data"]]}


async def read_item(services: ResponseServices, conversation_id: str, item: str) -> Fields:
    """One item; raises ConversationNotFound, MessageNotFound."""
    await read(services, conversation_id)
    key = ids.key_of_item(item)
    if key is None or key.conversation_id != conversation_id:
        raise MessageNotFound(item)
    return await find_item(services.conversations.database, services.owner, item)


async def remove_item(services: ResponseServices, conversation_id: str, item: str) -> Fields:
    """Delete the message of an item; the conversation that is left.

    Raises ConversationNotFound, MessageNotFound, ConversationBusy, InvalidRequest.
    """
    key = ids.key_of_item((await read_item(services, conversation_id, item))["id"])
    if key is not None:
        database, owner = services.conversations.database, services.owner
        await database.delete(last_messages.remove_last, owner, *key)
    return await read(services, conversation_id)


async def _messages(services: ResponseServices, items: Sequence[InputItem]) -> tuple[Message, ...]:
    items = await with_references(services.conversations.database, services.owner, items)
    sources = image_sources(items)
    if not sources:
        return input_messages(items, ())
    model = await find_chat_model(services.pool, None)
    return input_messages(items, await decode_images(services.intake, model, sources))
