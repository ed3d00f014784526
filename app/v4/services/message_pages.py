"""Pages of the messages of a conversation, whatever a version shows of a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.storage import cursors
from app.storage.cursors import CursorKey
from app.storage.database import Database
from app.storage.tables import Conversation
from app.v4.models.conversations import MessagesQuery

M = TypeVar("M")

Found = tuple[Conversation, Sequence[M]]
Page = tuple[Conversation, Sequence[M], CursorKey | None]
"""A conversation, some of its messages, and the key of the page before them."""


@dataclass(frozen=True, slots=True)
class MessagesPage(Generic[M]):
    """A conversation, some of its messages, and the cursor of the page before them."""

    conversation: Conversation
    messages: Sequence[M]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class MessageList(Generic[M]):
    """A kind of list of messages, called ``name`` in its cursors.

    ``branch`` and ``tree`` read it in one transaction; both take the owner, the conversation, how
    many messages, and where the page ends: the id of a message, or its number. ``previous`` and
    ``number`` say both of a message.
    """

    name: str
    branch: Callable[..., Found[M]]
    tree: Callable[..., Found[M]]
    previous: Callable[[M], str | None]
    number: Callable[[M], int]

    async def page(
        self, database: Database, owner: str, conversation_id: str, query: MessagesQuery
    ) -> MessagesPage[M]:
        """Read a page of messages; raises ConversationNotFound, InvalidRequest."""
        scope = (self.name, owner, conversation_id, query.branch)
        before = cursors.decode(query.cursor, *scope)
        read: Callable[..., Awaitable[Page[M]]]
        read = self._branch if query.branch == "active" else self._tree
        found, messages, older = await read(database, owner, conversation_id, query.limit, before)
        if before and not messages:
            raise cursors.invalid_cursor()
        return MessagesPage(found, messages, cursors.encode(older, *scope) if older else None)

    async def _branch(
        self,
        database: Database,
        owner: str,
        conversation_id: str,
        limit: int,
        before: CursorKey | None,
    ) -> Page[M]:
        leaf_id = before.id if before else None
        found, page = await database.read(self.branch, owner, conversation_id, limit, leaf_id)
        previous_id = self.previous(page[0]) if page else None
        return found, page, CursorKey(0, previous_id) if previous_id else None

    async def _tree(
        self,
        database: Database,
        owner: str,
        conversation_id: str,
        limit: int,
        before: CursorKey | None,
    ) -> Page[M]:
        seq = before.at if before else None
        found, some = await database.read(self.tree, owner, conversation_id, limit + 1, seq)
        page = some[-limit:]
        return found, page, CursorKey(self.number(page[0]), "") if len(some) > limit else None
