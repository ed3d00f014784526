"""Pages of the messages of a conversation, whatever a version shows of a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from app.storage import cursors
from app.storage.cursors import CursorKey
from app.storage.database import Database
from app.storage.tables import Conversation
from app.v4.models.conversations import MessagesQuery

M = TypeVar("M")

Found = tuple[Conversation, Sequence[M]]
Read = Callable[..., Awaitable[Found[M]]]
"""Reads so many messages of a conversation, up to where the page ends."""
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
        if query.branch == "active":
            read, page = self.branch, self._of_branch
        else:
            read, page = self.tree, self._of_tree
        found, messages, older = await page(
            partial(database.read, read, owner, conversation_id), query.limit, before
        )
        if before and not messages:
            raise cursors.invalid_cursor()
        return MessagesPage(found, messages, cursors.encode(older, *scope) if older else None)

    async def _of_branch(self, read: Read[M], limit: int, before: CursorKey | None) -> Page[M]:
        found, page = await read(limit, before.id if before else None)
        previous_id = self.previous(page[0]) if page else None
        return found, page, CursorKey(0, previous_id) if previous_id else None

    async def _of_tree(self, read: Read[M], limit: int, before: CursorKey | None) -> Page[M]:
        found, some = await read(limit + 1, before.at if before else None)
        page = some[-limit:]
        return found, page, CursorKey(self.number(page[0]), "") if len(some) > limit else None
