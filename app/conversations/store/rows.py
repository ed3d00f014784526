"""The rows that every turn reads and writes, by plain statements.

The bookkeeping of the ORM would nearly double a turn's time in the database. Objects that a
session holds of the same rows do not change with them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from app.storage.tables import Conversation, Message


class IndexedConversation(Protocol):
    """What the search index has of a conversation."""

    @property
    def id(self) -> str:
        """Its conversation tag is made of this."""

    @property
    def owner(self) -> str:
        """Its owner tag is made of this."""

    @property
    def title(self) -> str:
        """Indexed with its first questions."""


class IndexedMessage(Protocol):
    """What the search index has of a message."""

    @property
    def seq(self) -> int:
        """The number of its entry."""

    @property
    def parent_id(self) -> str | None:
        """None for a first question, which is indexed with the title."""

    @property
    def content(self) -> str:
        """Its text."""


class ConversationRow(NamedTuple):
    """A conversation as a turn needs it."""

    id: str
    owner: str
    title: str
    setup: dict[str, Any]
    active_leaf_id: str | None


class MessageRow(NamedTuple):
    """A message as the end of a turn needs it."""

    seq: int
    parent_id: str | None
    content: str
    status: str


# Statements of every turn are built once: building them takes longer than running them.
_CONVERSATION = select(
    Conversation.id,
    Conversation.owner,
    Conversation.title,
    Conversation.setup,
    Conversation.active_leaf_id,
).where(Conversation.id == bindparam("conversation"))
# key_share: transactions that add messages, which refer to the key, need not wait.
_CONVERSATION_FOR_UPDATE = _CONVERSATION.with_for_update(key_share=True)
_INSERT_CONVERSATION = insert(Conversation)
_UPDATE_CONVERSATION = update(Conversation).where(Conversation.id == bindparam("conversation"))

_MESSAGE_FOR_UPDATE = (
    select(Message.seq, Message.parent_id, Message.content, Message.status)
    .where(Message.conversation_id == bindparam("conversation"), Message.id == bindparam("message"))
    .with_for_update()
)
_INSERT_MESSAGE = insert(Message).returning(Message.seq)
_UPDATE_MESSAGE = update(Message).where(Message.seq == bindparam("number"))


def read_conversation(
    session: Session, conversation_id: str, *, lock: bool = False
) -> ConversationRow | None:
    """The conversation; ``lock``: no other transaction can change it before this one ends."""
    statement = _CONVERSATION_FOR_UPDATE if lock else _CONVERSATION
    found = session.connection().execute(statement, {"conversation": conversation_id}).first()
    return None if found is None else ConversationRow(*found)


def insert_conversation(session: Session, row: ConversationRow, moment: int) -> None:
    """Add a conversation that was created at this time."""
    values = row._asdict() | {"created_at": moment, "updated_at": moment}
    session.connection().execute(_INSERT_CONVERSATION, values)


def update_conversation(session: Session, conversation_id: str, **values: Any) -> None:
    """Change these columns of a conversation."""
    here = {"conversation": conversation_id}
    session.connection().execute(_UPDATE_CONVERSATION, values | here)


def lock_message(session: Session, conversation_id: str, message_id: str) -> MessageRow | None:
    """A message that no other transaction can change before this one ends."""
    here = {"conversation": conversation_id, "message": message_id}
    found = session.connection().execute(_MESSAGE_FOR_UPDATE, here).first()
    return None if found is None else MessageRow(*found)


def insert_message(session: Session, **values: Any) -> int:
    """Add a message with these columns; the others are empty. Returns its ``seq``."""
    seq: int = session.connection().execute(_INSERT_MESSAGE, values).scalar_one()
    return seq


def update_message(session: Session, seq: int, **values: Any) -> None:
    """Change these columns of a message."""
    session.connection().execute(_UPDATE_MESSAGE, values | {"number": seq})
