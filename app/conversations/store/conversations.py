"""Conversations of an owner; whoever else asks for one finds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session, defer

from app.conversations.errors import ConversationBusy, ConversationNotFound
from app.conversations.store import images, removal, search, tree
from app.storage.ids import now
from app.storage.tables import HIDDEN, Conversation, Message, Truncation

_BY_ID = select(Conversation).where(Conversation.id == bindparam("id"))
# Messages refer to its key, and that they may do meanwhile: hence key_share.
_HELD = _BY_ID.with_for_update(key_share=True)


def owned(
    session: Session, owner: str, conversation_id: str, *, alone: bool = False
) -> Conversation:
    """The conversation; raises ConversationNotFound, also where it is somebody else's.

    ``alone``: nobody else changes it before this transaction ends.
    """
    if "\0" in conversation_id:  # PostgreSQL refuses to look for it
        raise ConversationNotFound(conversation_id)
    found = session.scalar(_HELD if alone else _BY_ID, {"id": conversation_id})
    if found is None or found.owner != owner:
        raise ConversationNotFound(conversation_id)
    return found


def held(session: Session, conversation_id: str) -> Conversation | None:
    """The conversation, locked; take this lock before those of its messages.

    None where it is gone, or going.
    """
    found = session.scalar(_HELD, {"id": conversation_id})
    return None if found is None or found.owner == HIDDEN else found


def create(
    session: Session, owner: str, conversation_id: str, title: str, setup: dict[str, Any]
) -> Conversation:
    """Add an empty conversation."""
    moment = now()
    made = Conversation(
        id=conversation_id,
        owner=owner,
        title=title,
        setup=setup,
        active_leaf_id=None,
        created_at=moment,
        updated_at=moment,
    )
    session.add(made)
    session.flush()
    return made


def remove(session: Session, owner: str, conversation_id: str) -> None:
    """Delete the conversation with its messages and pictures; raises ConversationNotFound.

    A large one is only hidden here; ``removal`` takes it away piece by piece.
    """
    found = owned(session, owner, conversation_id, alone=True)
    if removal.is_large(session, conversation_id):
        removal.hide(session, found)
        return
    mine = Message.conversation_id == conversation_id
    indexed = session.scalars(select(Message).where(mine, Message.status != "generating"))
    search.drop(session, found, indexed.all())
    images.forget(session, conversation_id)
    for table in (Truncation, Message):
        session.execute(delete(table).where(table.conversation_id == conversation_id))
    session.delete(found)


LONGEST_TITLE = 200
"""Characters of a title."""


def first_line(question: str) -> str:
    """A title made from the first question: its first line, cut at a word."""
    line = next((line.strip() for line in question.splitlines() if line.strip()), "…")
    if len(line) <= 60:
        return line
    cut = line[:60].rpartition(" ")[0] or line[:60]
    return f"{cut}…"


def change(
    session: Session, owner: str, conversation_id: str, title: str | None, leaf_id: str | None
) -> Conversation:
    """Change what is not None; raises ConversationNotFound, MessageNotFound, ConversationBusy."""
    found = owned(session, owner, conversation_id, alone=True)
    if leaf_id is not None:
        _require_idle(session, found)
        found.active_leaf_id = tree.message(session, found.id, leaf_id).id
    if title is not None:
        search.retitle(session, found, title)
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
    """A conversation and the last messages up to ``leaf_id``, by default the active one.

    Oldest first. Raises ConversationNotFound.
    """
    found = owned(session, owner, conversation_id)
    return found, tree.branch(session, found.id, leaf_id or found.active_leaf_id, limit)


def messages(
    session: Session, owner: str, conversation_id: str, limit: int, before: int | None
) -> tuple[Conversation, Sequence[Message]]:
    """A conversation and its last messages of all branches made before that ``seq``; the same."""
    found = owned(session, owner, conversation_id)
    page = select(Message.seq).where(Message.conversation_id == found.id)
    if before is not None:
        page = page.where(Message.seq < before)
    # Sorted before the texts are read: SQLite would sort them too.
    last = page.order_by(Message.seq.desc()).limit(limit).subquery()
    shown = select(Message).join(last, Message.seq == last.c.seq).options(defer(Message.prompt))
    return found, session.scalars(shown.order_by(Message.seq)).all()
