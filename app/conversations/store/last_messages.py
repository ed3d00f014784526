"""Deletes messages that no other one follows."""

from __future__ import annotations

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from app.conversations.errors import MessageNotFound
from app.conversations.store import conversations, images, rows, search, turns
from app.conversations.store.extras import EXTRA_OF_MESSAGE, IS_UNLISTED
from app.conversations.store.rows import ConversationRow
from app.errors import InvalidRequest
from app.storage.tables import Message, MessageExtra, Truncation


def remove_last(session: Session, owner: str, conversation_id: str, message_id: str) -> None:
    """Delete a message with its images.

    Raises ConversationNotFound, MessageNotFound, ConversationBusy while an answer is being made,
    and InvalidRequest if others follow the message.
    """
    found = _lock_idle(session, owner, conversation_id)
    if not _remove(session, found, message_id):
        raise InvalidRequest("", "Others follow this item: delete the conversation.")


def remove_branch_end(
    session: Session, owner: str, conversation_id: str, message_id: str, behind: str | None
) -> None:
    """Delete a message and those before it, up to ``behind``, as long as no other one follows them.

    Raises ConversationNotFound, MessageNotFound, ConversationBusy.
    """
    found = _lock_idle(session, owner, conversation_id)
    last: str | None = message_id
    while last is not None and last != behind:
        previous = _previous(session, conversation_id, last)
        if not _remove(session, found, last):
            return
        last = previous


def _lock_idle(session: Session, owner: str, conversation_id: str) -> ConversationRow:
    found = conversations.read_row(session, owner, conversation_id, lock=True)
    turns.require_idle(session, found)
    return found


def _previous(session: Session, conversation_id: str, message_id: str) -> str | None:
    here = Message.conversation_id == conversation_id, Message.id == message_id
    wanted = select(Message.parent_id, MessageExtra.previous_id)
    row = session.execute(wanted.outerjoin(MessageExtra, EXTRA_OF_MESSAGE).where(*here)).first()
    if row is None:
        raise MessageNotFound(message_id)
    parent_id, previous_id = row
    return previous_id or parent_id


def _remove(session: Session, found: ConversationRow, message_id: str) -> bool:
    """Delete a message; False if others follow it."""
    here = Message.conversation_id == found.id, Message.id == message_id
    row = session.execute(select(Message, IS_UNLISTED).where(*here)).first()
    if row is None:
        raise MessageNotFound(message_id)
    if _is_followed(session, found.id, message_id):
        return False
    message, unlisted = row
    if not unlisted:
        search.unindex_messages(session, found, [message])
    images.delete_uses_of(session, found.id, message_id)
    for table in (Truncation, MessageExtra):
        session.execute(
            delete(table).where(table.conversation_id == found.id, table.message_id == message_id)
        )
    parent_id = message.parent_id
    session.delete(message)
    session.flush()
    _move_leaf(session, found.id, message_id, parent_id)
    return True


def _move_leaf(
    session: Session, conversation_id: str, message_id: str, parent_id: str | None
) -> None:
    """Let the active branch end with the parent of a message that is gone."""
    found = rows.read_conversation(session, conversation_id)
    if found and found.active_leaf_id == message_id:
        rows.update_conversation(session, conversation_id, active_leaf_id=parent_id)


def _is_followed(session: Session, conversation_id: str, message_id: str) -> bool:
    follows = or_(Message.parent_id == message_id, MessageExtra.previous_id == message_id)
    others = select(Message.id).outerjoin(MessageExtra, EXTRA_OF_MESSAGE)
    mine = others.where(Message.conversation_id == conversation_id, follows)
    return session.scalar(mine.limit(1)) is not None
