"""Stored conversations as v6 shows them: all messages, with all of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.conversations.store import whole
from app.conversations.store.images import Attachment
from app.conversations.store.whole import WholeMessage
from app.provider.types import Part, SeenImage, ThinkingPart, ToolCallPart, ToolResultPart
from app.storage.database import Database
from app.v4.models.conversations import MessagesQuery
from app.v4.services import conversations as v4
from app.v4.services.message_pages import MessageList
from app.v5.services import conversations as v5
from app.v6.models.conversations import ConversationMessages
from app.v6.services.translate import tool_calls

WHOLE: MessageList[WholeMessage] = MessageList(
    "whole messages",
    whole.branch,
    whole.messages,
    lambda one: one.previous_id,
    lambda one: one.row.seq,
)
"""All messages, also those of tools and developers."""


async def open_conversation(
    database: Database, owner: str, conversation_id: str, query: MessagesQuery
) -> ConversationMessages:
    """A conversation with a page of messages; raises ConversationNotFound, InvalidRequest."""
    page = await WHOLE.page(database, owner, conversation_id, query)
    # Read after the messages: a message is stored together with its images.
    images, seen = await database.read(v5.read_images, conversation_id)
    messages = [_fields(one, images[one.row.id], seen.get(one.row.id, ())) for one in page.messages]
    return ConversationMessages.model_validate(
        v4.detail_fields(page.conversation)
        | {"messages": messages, "next_cursor": page.next_cursor}
    )


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
