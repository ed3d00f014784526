"""Conversations of an owner; for everyone else they do not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session, defer

from app.conversations.errors import ConversationBusy, ConversationNotFound
from app.conversations.store import images, removal, rows, search, tree
from app.conversations.store.extras import IS_UNLISTED
from app.conversations.store.rows import ConversationRow
from app.storage.ids import now
from app.storage.tables import HIDDEN, Conversation, Message, MessageExtra, Truncation

_BY_ID = select(Conversation).where(Conversation.id == bindparam("id"))
# key_share: transactions that add messages, which refer to the key, need not wait.
_BY_ID_FOR_UPDATE = _BY_ID.with_for_update(key_share=True)


def find_owned(
    session: Session, owner: str, conversation_id: str, *, lock: bool = False
) -> Conversation:
    """The conversation; raises ConversationNotFound, also if it belongs to another owner.

    ``lock``: no other transaction can change it before this one ends.
    """
    if "\0" in conversation_id:  # PostgreSQL refuses it as a parameter
        raise ConversationNotFound(conversation_id)
    found = session.scalar(_BY_ID_FOR_UPDATE if lock else _BY_ID, {"id": conversation_id})
    if found is None or found.owner != owner:
        raise ConversationNotFound(conversation_id)
    return found


def read_row(
    session: Session, owner: str, conversation_id: str, *, lock: bool = False
) -> ConversationRow:
    """The conversation as a turn needs it; otherwise like ``find_owned``."""
    if "\0" in conversation_id:
        raise ConversationNotFound(conversation_id)
    found = rows.read_conversation(session, conversation_id, lock=lock)
    if found is None or found.owner != owner:
        raise ConversationNotFound(conversation_id)
    return found


def lock_conversation(session: Session, conversation_id: str) -> ConversationRow | None:
    """Lock the conversation; take this lock before those of its messages.

    None if it has been deleted or is being removed.
    """
    found = rows.read_conversation(session, conversation_id, lock=True)
    return None if found is None or found.owner == HIDDEN else found


def create(
    session: Session, owner: str, conversation_id: str, title: str, setup: dict[str, Any]
) -> ConversationRow:
    """Add an empty conversation."""
    made = ConversationRow(conversation_id, owner, title, setup, active_leaf_id=None)
    rows.insert_conversation(session, made, now())
    return made


def remove(session: Session, owner: str, conversation_id: str) -> None:
    """Delete the conversation with its messages and images; raises ConversationNotFound.

    A large one is only hidden here; ``removal.py`` deletes it piece by piece.
    """
    found = find_owned(session, owner, conversation_id, lock=True)
    if removal.is_large(session, conversation_id):
        removal.hide_for_removal(session, found)
        return
    mine = Message.conversation_id == conversation_id
    indexed = select(Message).where(mine, Message.status != "generating", ~IS_UNLISTED)
    search.unindex_messages(session, found, session.scalars(indexed).all())
    images.delete_uses(session, conversation_id)
    for table in (Truncation, MessageExtra, Message):
        session.execute(delete(table).where(table.conversation_id == conversation_id))
    session.delete(found)


MAX_TITLE_LENGTH = 200
"""Characters of a title."""


def title_from_question(question: str) -> str:
    """A title from the first question: its first line, cut at a word."""
    line = next((line.strip() for line in question.splitlines() if line.strip()), "…")
    if len(line) <= 60:
        return line
    cut = line[:60].rpartition(" ")[0] or line[:60]
    return f"{cut}…"


def change(
    session: Session, owner: str, conversation_id: str, title: str | None, leaf_id: str | None
) -> Conversation:
    """Change the values that are not None.

    Raises ConversationNotFound, MessageNotFound, ConversationBusy.
    """
    found = find_owned(session, owner, conversation_id, lock=True)
    if leaf_id is not None:
        _require_idle(session, found)
        found.active_leaf_id = tree.find_message(session, found.id, leaf_id).id
    if title is not None:
        search.retitle(session, found, title)
    return found


def change_setup(
    session: Session, owner: str, conversation_id: str, values: Mapping[str, Any]
) -> Conversation:
    """Change these values of its setup; raises ConversationNotFound."""
    found = find_owned(session, owner, conversation_id, lock=True)
    found.setup = {**found.setup, **values}
    return found


def _require_idle(session: Session, found: Conversation) -> None:
    running = select(Message.seq).where(
        Message.conversation_id == found.id,
        Message.status == "generating",
        Message.lease_until > now(),
    )
    if session.scalar(running) is not None:
        raise ConversationBusy


def branch(
    session: Session, owner: str, conversation_id: str, limit: int | None, leaf_id: str | None
) -> tuple[Conversation, Sequence[Message]]:
    """A conversation and the last listed messages up to ``leaf_id``, by default the active one.

    Oldest first. Raises ConversationNotFound.
    """
    found = find_owned(session, owner, conversation_id)
    return found, tree.branch(session, found.id, leaf_id or found.active_leaf_id, limit)


def messages(
    session: Session, owner: str, conversation_id: str, limit: int, before: int | None
) -> tuple[Conversation, Sequence[Message]]:
    """A conversation and its last listed messages before that ``seq``, oldest first.

    Raises ConversationNotFound.
    """
    found = find_owned(session, owner, conversation_id)
    unlisted = select(MessageExtra.message_id).where(
        MessageExtra.conversation_id == found.id, ~MessageExtra.listed
    )
    mine = Message.conversation_id == found.id, Message.id.not_in(unlisted)
    page = select(Message.seq).where(*mine)
    if before is not None:
        page = page.where(Message.seq < before)
    # A subquery without texts: SQLite would sort them along with the numbers.
    last = page.order_by(Message.seq.desc()).limit(limit).subquery()
    shown = select(Message).join(last, Message.seq == last.c.seq).options(defer(Message.prompt))
    return found, session.scalars(shown.order_by(Message.seq)).all()
