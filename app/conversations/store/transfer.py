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


def read_extras(session: Session, conversation_id: str) -> dict[str, MessageExtra]:
    """What messages of a conversation have beside their texts, by message id."""
    mine = select(MessageExtra).where(MessageExtra.conversation_id == conversation_id)
    return {extra.message_id: extra for extra in session.scalars(mine)}


def add_messages(session: Session, made: Conversation, messages: Sequence[Message]) -> None:
    """Store messages of a new conversation."""
    add_with_extras(session, made, messages, ())


def add_with_extras(
    session: Session,
    made: Conversation,
    messages: Sequence[Message],
    extras: Sequence[MessageExtra],
) -> None:
    """Store messages of a new conversation, with what they have beside their texts."""
    session.add_all(messages)
    session.flush()
    session.add_all(extras)
    unlisted = {extra.message_id for extra in extras if not extra.listed}
    listed = [message for message in messages if message.id not in unlisted]
    search.index_messages(session, made, listed)
