"""Stores messages one behind the other, listed and unlisted ones, with all of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.conversations.store import images, parts, rows, search
from app.conversations.store.rows import IndexedConversation
from app.conversations.store.tree import Position
from app.provider import types
from app.storage.ids import new_id, now
from app.storage.tables import Message, MessageExtra


@dataclass(frozen=True, slots=True)
class Added:
    """Stored messages in their order, those of them that are listed, and the next position."""

    rows: list[Message]
    listed: list[Message]
    position: Position


def append(
    session: Session,
    found: IndexedConversation,
    position: Position,
    messages: Sequence[types.Message],
) -> Added:
    """Store complete messages at a position; the active branch then ends with the last listed one.

    ``tree.position_behind`` gives the position. The conversation is locked by the caller.
    """
    added = add_messages(session, found.id, position, messages)
    search.index_messages(session, found, added.listed)
    leaf = added.position.parent_id
    rows.update_conversation(session, found.id, active_leaf_id=leaf, updated_at=now())
    return added


def add_messages(
    session: Session,
    conversation_id: str,
    position: Position,
    messages: Sequence[types.Message],
) -> Added:
    """Store complete messages; the caller indexes the listed ones and sets the active leaf.

    A NUL becomes U+FFFD, because PostgreSQL refuses it.
    """
    stored: list[Message] = []
    listed: list[Message] = []
    for message in map(parts.without_nul, messages):
        row = _new_message(conversation_id, position.parent_id, message)
        stored.append(row)
        session.add(row)
        extra = new_extra(conversation_id, row.id, message, position.previous_id)
        if extra is not None:
            session.add(extra)
        if extra is None or extra.listed:
            listed.append(row)
        position = position.behind(row.id, listed=extra is None or extra.listed)
    session.flush()
    _attach_images(session, stored, messages)
    return Added(stored, listed, position)


def _new_message(conversation_id: str, parent_id: str | None, message: types.Message) -> Message:
    return Message(
        id=new_id(),
        conversation_id=conversation_id,
        parent_id=parent_id,
        role=message.role,
        status="complete",
        content=message.text,
        created_at=now(),
        stopping=False,
    )


def new_extra(
    conversation_id: str, message_id: str, message: types.Message, previous_id: str | None
) -> MessageExtra | None:
    """What the message has beside its row; None for an ordinary question or answer."""
    listed = parts.is_listed(message.role, message.parts)
    extra = parts.extra_parts(message)
    if listed and not extra and previous_id is None:
        return None
    return MessageExtra(
        conversation_id=conversation_id,
        message_id=message_id,
        listed=listed,
        previous_id=previous_id,
        parts=parts.to_values(extra) if extra else None,
    )


def store_parts(
    session: Session, conversation_id: str, message_id: str, message: types.Message
) -> bool:
    """Store what a stored message has beside its text; whether it is listed."""
    ids = {"conversation_id": conversation_id, "message_id": message_id}
    known = session.get(MessageExtra, ids)
    extra = new_extra(conversation_id, message_id, message, known.previous_id if known else None)
    if extra is not None:
        request = parts.request_values(known.parts if known else None)
        extra.parts = [*(extra.parts or ()), *request] or None
        session.merge(extra)
        session.flush()
    return extra is None or extra.listed


def store_request(
    session: Session, conversation_id: str, message_id: str, fields: dict[str, Any]
) -> None:
    """Store, beside an answer, what its request said; replaces what was stored of it."""
    ids = {"conversation_id": conversation_id, "message_id": message_id}
    extra = session.get(MessageExtra, ids)
    if extra is None:
        extra = MessageExtra(**ids, listed=True, previous_id=None, parts=None)
        session.add(extra)
    extra.parts = [*parts.without_request(extra.parts), parts.request_value(fields)]
    session.flush()


def _attach_images(
    session: Session, stored: Sequence[Message], messages: Sequence[types.Message]
) -> None:
    attached = [[images.attachment_of(one) for one in message.images] for message in messages]
    images.store_contents(session, [one for some in attached for one in some])
    for row, some in zip(stored, attached, strict=True):
        images.add_uses(session, row.conversation_id, row.id, some)
