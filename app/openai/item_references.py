"""Stored items that a request names, in place of sending them again."""

from __future__ import annotations

from collections.abc import Sequence

from app.conversations import read_messages
from app.conversations.errors import ConversationNotFound, MessageNotFound
from app.errors import pointer
from app.openai.errors import InvalidParameter
from app.openai.models.response_input import InputItem
from app.openai.translate import response_ids as ids
from app.openai.translate.item_list import Fields, items_of
from app.storage.database import Database


async def find_item(database: Database, owner: str, item: str) -> Fields:
    """A stored item; raises ConversationNotFound, MessageNotFound."""
    key = ids.key_of_item(item)
    if key is None:
        raise MessageNotFound(item)
    found = await database.read(read_messages.read_message, owner, *key)
    for one in items_of(key.conversation_id, [found] if found else []):
        if one["id"] == item:
            return one
    raise MessageNotFound(item)


async def with_references(
    database: Database, owner: str, items: Sequence[InputItem]
) -> list[InputItem]:
    """The items, with those that are named in the places of their names.

    Raises InvalidParameter for one that is not stored.
    """
    return [
        await _referenced(database, owner, at, item) if item.type == "item_reference" else item
        for at, item in enumerate(items)
    ]


async def _referenced(database: Database, owner: str, at: int, item: InputItem) -> InputItem:
    name = item.id or ""
    try:
        found = await find_item(database, owner, name)
    except (ConversationNotFound, MessageNotFound):
        detail = f"Item with id {name[:100]!r} not found."
        where = pointer("input", at, "id")
        raise InvalidParameter(where, detail, "invalid_value") from None
    return InputItem.model_validate(found)
