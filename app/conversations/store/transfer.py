"""Reads and stores whole conversations."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.conversations.store import conversations, search
from app.storage.tables import Conversation, Message, MessageExtra


def read_conversation(
    session: Session, owner: str, conversation_id: str
) -> tuple[Conversation, Sequence[Message]]:
    """A conversation with all its messages, parents first; raises ConversationNotFound."""
    found = conversations.find_owned(session, owner, conversation_id)
    mine = select(Message).where(Message.conversation_id == found.id)
    return found, session.scalars(mine.order_by(Message.seq)).all()


def has_extras(session: Session, conversation_id: str) -> bool:
    """Whether a conversation holds more than questions and answers that are images and text."""
    mine = select(MessageExtra.message_id).where(MessageExtra.conversation_id == conversation_id)
    return session.scalar(mine.limit(1)) is not None


def add_messages(session: Session, made: Conversation, messages: Sequence[Message]) -> None:
    """Store messages of a new conversation."""
    session.add_all(messages)
    session.flush()
    search.index_messages(session, made, messages)
