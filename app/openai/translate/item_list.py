"""Lists of items, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from app.conversations.read_messages import ReadMessage
from app.conversations.store.answers import AnswerKey
from app.openai.errors import InvalidParameter
from app.openai.translate.response_items import message_items

Order = Literal["asc", "desc"]

Fields = dict[str, Any]


def items_of(conversation_id: str, messages: Sequence[ReadMessage]) -> list[Fields]:
    """The items of messages, in their order."""
    return [
        item
        for message in messages
        for item in message_items(AnswerKey(conversation_id, message.id), message.value)
    ]


def page(items: Sequence[Fields], limit: int, after: str | None, order: Order) -> Fields:
    """Up to ``limit`` of the items that come after one of them; raises InvalidParameter."""
    ordered = list(items) if order == "asc" else list(items)[::-1]
    if after is not None:
        ids = [item["id"] for item in ordered]
        if after not in ids:
            raise InvalidParameter("/after", "There is no such item.", "invalid_value")
        ordered = ordered[ids.index(after) + 1 :]
    return item_list(ordered[:limit], has_more=len(ordered) > limit)


def item_list(items: Sequence[Fields], *, has_more: bool = False) -> Fields:
    """These items as a list."""
    return {
        "object": "list",
        "data": list(items),
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }
