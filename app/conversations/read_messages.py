"""Reads stored messages with all of their parts; images only of those that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.conversations.context_window import message_value
from app.conversations.store import tree, whole
from app.conversations.store.answers import StoredAnswer
from app.conversations.store.tree import HistoryMessage
from app.conversations.store.whole import WholeMessage
from app.provider import types
from app.provider.types import TextPart
from app.storage.tables import Message

ALL = 2**31 - 1
"""More messages than any branch has."""


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """A stored message that is complete; ``filled``: with its images, else with their places."""

    stored: HistoryMessage
    filled: bool = False

    @property
    def id(self) -> str:
        """Its id."""
        return self.stored.id

    @property
    def value(self) -> types.Message:
        """The message with its parts."""
        if self.filled:
            return message_value(self.stored)
        return types.Message(self.stored.role, self.stored.parts or (TextPart(self.stored.text),))


def read_branch(
    session: Session, owner: str, conversation_id: str, leaf_id: str | None = None
) -> list[ReadMessage]:
    """The messages up to ``leaf_id``, or to the end of the active branch, oldest first.

    Answers that are being made are left out. Raises ConversationNotFound.
    """
    _, found = whole.branch(session, owner, conversation_id, ALL, leaf_id)
    return _values(found)


def read_message(
    session: Session, owner: str, conversation_id: str, message_id: str
) -> ReadMessage | None:
    """One message with its images; None if there is none. Raises ConversationNotFound."""
    _, found = whole.branch(session, owner, conversation_id, 1, message_id)
    return next(iter(fill_images(session, conversation_id, _values(found))), None)


def read_input(session: Session, owner: str, answer: StoredAnswer) -> list[ReadMessage]:
    """The messages that an answer was asked with; of other dialects, its question."""
    row = answer.row
    _, found = whole.branch(session, owner, row.conversation_id, ALL, row.id)
    before = [one for one in found if one.row.id != row.id]
    ids = [one.row.id for one in before]
    if "behind" in answer.request:
        behind = answer.request["behind"]
        start = ids.index(behind) + 1 if behind in ids else 0
    else:
        start = ids.index(row.parent_id) if row.parent_id in ids else 0
    return _values(before[start:])


def stands_alone(session: Session, owner: str, answer: StoredAnswer) -> bool:
    """Whether a conversation consists of an answer and what it was asked with, and no more."""
    row = answer.row
    _, path = whole.branch(session, owner, row.conversation_id, ALL, row.id)
    mine = Message.conversation_id == row.conversation_id
    count = session.scalar(select(func.count()).select_from(Message).where(mine))
    return answer.request.get("behind", "") is None and count == len(path)


def fill_images(
    session: Session, conversation_id: str, messages: Sequence[ReadMessage]
) -> list[ReadMessage]:
    """The same messages with their images."""
    stored = [message.stored for message in messages]
    filled = tree.with_images(session, conversation_id, stored, ALL)
    return [ReadMessage(message, filled=True) for message in filled]


def _values(found: Sequence[WholeMessage]) -> list[ReadMessage]:
    return [
        ReadMessage(
            HistoryMessage(
                one.row.id, cast("types.Role", one.row.role), one.row.content, (), one.parts
            )
        )
        for one in found
        if one.row.status != "generating"
    ]
