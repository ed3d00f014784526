"""Lists, opens, changes and removes conversations."""

from __future__ import annotations

from typing import Any

from app.conversations.store import conversations as store
from app.conversations.store import listing
from app.conversations.store.listing import ConversationHead
from app.storage import cursors
from app.storage.cursors import CursorKey
from app.storage.database import Database
from app.storage.tables import Conversation, Message
from app.storage.timestamps import isoformat
from app.v1.services.translate import finish_reason
from app.v4.models.conversations import (
    ConversationChange,
    ConversationDetail,
    ConversationMessages,
    ConversationPage,
    ConversationsQuery,
    ListedConversation,
    Match,
    MessagesQuery,
)
from app.v4.services.message_pages import MessageList


async def list_conversations(
    database: Database, owner: str, query: ConversationsQuery, page_size: int
) -> ConversationPage:
    """A page of an owner's conversations; raises InvalidRequest."""
    limit = query.limit or page_size
    if query.query is not None:
        return await _search(database, owner, query.query, query.cursor, limit)
    scope = ("conversations", owner)
    before = cursors.decode(query.cursor, *scope)
    heads = await database.read(listing.list_conversations, owner, limit + 1, before)
    page = heads[:limit]
    last = CursorKey(page[-1].updated_at, page[-1].id) if len(heads) > limit else None
    return ConversationPage(
        conversations=[_listed(head, None) for head in page],
        next_cursor=cursors.encode(last, *scope) if last else None,
    )


async def _search(
    database: Database, owner: str, query: str, cursor: str | None, limit: int
) -> ConversationPage:
    listing.require_words(query)
    scope = ("search", owner, query)
    before = cursors.decode(cursor, *scope)
    hits = await database.scan(
        listing.search_conversations, owner, query, limit + 1, before.at if before else None
    )
    page = hits[:limit]
    last = CursorKey(page[-1].seq, "") if len(hits) > limit else None
    return ConversationPage(
        conversations=[
            _listed(hit.head, Match(message_id=hit.message_id, snippet=hit.snippet)) for hit in page
        ],
        next_cursor=cursors.encode(last, *scope) if last else None,
    )


def _listed(head: ConversationHead, match: Match | None) -> ListedConversation:
    return ListedConversation(
        id=head.id,
        title=head.title,
        created_at=isoformat(head.created_at),
        updated_at=isoformat(head.updated_at),
        active_leaf_id=head.active_leaf_id,
        model=head.model,
        template=head.template,
        match=match,
    )


async def open_conversation(
    database: Database, owner: str, conversation_id: str, query: MessagesQuery
) -> ConversationMessages:
    """A conversation with a page of messages; raises ConversationNotFound, InvalidRequest."""
    page = await LISTED.page(database, owner, conversation_id, query)
    return ConversationMessages.model_validate(
        detail_fields(page.conversation)
        | {"messages": [message_fields(row) for row in page.messages]}
        | {"next_cursor": page.next_cursor}
    )


LISTED: MessageList[Message] = MessageList(
    "messages", store.branch, store.messages, lambda row: row.parent_id, lambda row: row.seq
)
"""Questions and the texts of answers."""


def detail(found: Conversation) -> ConversationDetail:
    """A conversation with its defaults."""
    return ConversationDetail.model_validate(detail_fields(found))


def detail_fields(found: Conversation) -> dict[str, Any]:
    """A conversation and its defaults as fields of the wire model."""
    defaults = found.setup
    template = defaults.get("template")
    return {
        "id": found.id,
        "title": found.title,
        "created_at": isoformat(found.created_at),
        "updated_at": isoformat(found.updated_at),
        "active_leaf_id": found.active_leaf_id,
        "model": defaults.get("model"),
        "template": template["name"] if template else None,
        "system": defaults.get("system"),
        "variables": defaults.get("variables", {}),
    }


def message_fields(row: Message) -> dict[str, Any]:
    """A stored message as fields of the wire model."""
    return {
        "id": row.id,
        "parent_id": row.parent_id,
        "role": row.role,
        "status": row.status,
        "content": row.content,
        "model": row.model,
        "finish_reason": finish_reason(row.finish_reason),
        "usage": row.usage or None,
        "context": row.context or None,
        "error": row.error,
        "created_at": isoformat(row.created_at),
        "finished_at": None if row.finished_at is None else isoformat(row.finished_at),
    }


async def change(
    database: Database, owner: str, conversation_id: str, wanted: ConversationChange
) -> ConversationDetail:
    """Change the title or the active leaf.

    Raises ConversationNotFound, MessageNotFound, ConversationBusy.
    """
    found = await database.write(
        store.change, owner, conversation_id, wanted.title, wanted.active_leaf_id
    )
    return detail(found)


async def remove(database: Database, owner: str, conversation_id: str) -> None:
    """Delete a conversation and all of its messages; raises ConversationNotFound."""
    await database.delete(store.remove, owner, conversation_id)
