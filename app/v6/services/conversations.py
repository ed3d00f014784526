"""Stored conversations as v6 shows them: all messages, with all of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.conversations.store import whole
from app.conversations.store.images import Attachment
from app.conversations.store.whole import WholeMessage
from app.provider.types import Part, SeenImage, ThinkingPart, ToolCallPart, ToolResultPart
from app.storage import cursors
from app.storage.cursors import CursorKey
from app.storage.database import Database
from app.storage.tables import Conversation
from app.v4.models.conversations import MessagesQuery
from app.v4.services import conversations as v4
from app.v5.services import conversations as v5
from app.v6.models.conversations import ConversationMessages
from app.v6.services.translate import tool_calls

_Page = tuple[Conversation, list[WholeMessage], CursorKey | None]
"""A conversation, some of its messages, and the key of the page before them."""


async def open_conversation(
    database: Database, owner: str, conversation_id: str, query: MessagesQuery
) -> ConversationMessages:
    """A conversation with a page of messages; raises ConversationNotFound, InvalidRequest."""
    scope = ("whole messages", owner, conversation_id, query.branch)
    before = cursors.decode(query.cursor, *scope)
    read = _branch if query.branch == "active" else _tree
    found, page, older = await read(database, owner, conversation_id, query.limit, before)
    if before and not page:
        raise cursors.invalid_cursor()
    # Read after the messages: a message is stored together with its images.
    images, seen = await database.read(v5.read_images, conversation_id)
    messages = [_fields(one, images[one.row.id], seen.get(one.row.id, ())) for one in page]
    cursor = cursors.encode(older, *scope) if older else None
    return ConversationMessages.model_validate(
        v4.detail_fields(found) | {"messages": messages, "next_cursor": cursor}
    )


async def _branch(
    database: Database, owner: str, conversation_id: str, limit: int, before: CursorKey | None
) -> _Page:
    leaf_id = before.id if before else None
    found, page = await database.read(whole.branch, owner, conversation_id, limit, leaf_id)
    previous_id = page[0].previous_id if page else None
    return found, page, CursorKey(0, previous_id) if previous_id else None


async def _tree(
    database: Database, owner: str, conversation_id: str, limit: int, before: CursorKey | None
) -> _Page:
    seq = before.at if before else None
    found, some = await database.read(whole.messages, owner, conversation_id, limit + 1, seq)
    page = some[-limit:]
    return found, page, CursorKey(page[0].row.seq, "") if len(some) > limit else None


def _fields(
    message: WholeMessage, images: Sequence[Attachment], seen: Sequence[SeenImage]
) -> dict[str, Any]:
    return v5.message_fields(message.row, images, seen) | {
        "finish_reason": message.row.finish_reason,
        "previous_id": message.previous_id,
        "listed": message.listed,
        **part_fields(message.parts),
    }


def part_fields(parts: Sequence[Part]) -> dict[str, Any]:
    """Thinking, tool calls and tool results as fields of the wire model."""
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    results = [part for part in parts if isinstance(part, ToolResultPart)]
    return {
        "thinking": "".join(part.text for part in parts if isinstance(part, ThinkingPart)),
        "tool_calls": tool_calls(calls),
        "tool_results": [
            {"call_id": one.call_id, "content": one.text, "is_error": one.is_error}
            for one in results
        ],
    }
