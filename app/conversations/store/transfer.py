"""Whole conversations, out of the database and into it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.conversations.store import conversations, search
from app.storage.tables import Conversation, Message


def everything(
    session: Session, owner: str, conversation_id: str
) -> tuple[Conversation, Sequence[Message]]:
    """A conversation with all its messages, parents first; raises ConversationNotFound."""
    found = conversations.owned(session, owner, conversation_id)
    mine = select(Message).where(Message.conversation_id == found.id)
    return found, session.scalars(mine.order_by(Message.seq)).all()


def add(session: Session, made: Conversation, messages: Sequence[Message]) -> None:
    """Store messages of a new conversation."""
    session.add_all(messages)
    session.flush()
    search.add(session, made, messages)
