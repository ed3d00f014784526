"""Tools that read what the owner's conversations hold."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from app.conversations.store import conversations as store
from app.conversations.store import listing
from app.conversations.store.listing import ConversationHead
from app.mcp.call import Call
from app.mcp.tools.tool import Arguments, Tool, ToolAnswer, Words, json_answer
from app.storage.timestamps import isoformat

Limit = Annotated[int, Field(ge=1, le=100)]


class SearchArguments(Arguments):
    """Of ``search_conversations``."""

    query: Words = Field(
        "", max_length=200, description="Words that a message must hold; empty: the last used ones."
    )
    limit: Limit = Field(10, description="Conversations to list.")


class ReadArguments(Arguments):
    """Of ``read_conversation``."""

    conversation_id: str = Field(
        min_length=1, max_length=100, description="From search_conversations."
    )
    limit: Limit = Field(20, description="Messages to read, the newest.")


async def search_conversations(call: Call, asked: SearchArguments) -> ToolAnswer:
    """List conversations that hold the words, or the last used ones."""
    if not asked.query:
        heads = await call.database.read(listing.list_conversations, call.owner, asked.limit, None)
        return json_answer({"conversations": [_listed(head) for head in heads]})
    listing.require_words(asked.query)
    search = listing.search_conversations
    hits = await call.database.scan(search, call.owner, asked.query, asked.limit, None)
    found = [{**_listed(hit.head), "snippet": hit.snippet} for hit in hits]
    return json_answer({"conversations": found})


def _listed(head: ConversationHead) -> dict[str, Any]:
    return {"id": head.id, "title": head.title, "updated_at": isoformat(head.updated_at)}


async def read_conversation(call: Call, asked: ReadArguments) -> ToolAnswer:
    """Read the newest messages of the active branch, oldest first."""
    found, messages = await call.database.read(
        store.branch, call.owner, asked.conversation_id, asked.limit, None
    )
    shown = [
        {"role": each.role, "content": each.content, "created_at": isoformat(each.created_at)}
        for each in messages
    ]
    earlier = bool(messages and messages[0].parent_id)
    return json_answer(
        {"id": found.id, "title": found.title, "messages": shown, "has_earlier": earlier}
    )


TOOLS = (
    Tool(
        "search_conversations",
        "Search conversations",
        "Look for words in the conversations that the user has stored on this server.",
        SearchArguments,
        search_conversations,
    ),
    Tool(
        "read_conversation",
        "Read a conversation",
        "Read the messages of one stored conversation.",
        ReadArguments,
        read_conversation,
    ),
)
"""In the order in which they are listed."""
