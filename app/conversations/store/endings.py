"""How an answer ended, stored exactly once.

``end`` is called by the process that made it; ``fail_abandoned`` ends the answers of servers that
died.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.conversations.store import conversations, images, messages, parts, rows, search
from app.conversations.store.rows import (
    ConversationRow,
    IndexedConversation,
    IndexedMessage,
    MessageRow,
)
from app.provider import types
from app.provider.types import Part, SeenImage, TextPart, ThinkingPart
from app.storage.ids import now
from app.storage.tables import Conversation, Message, Status

ABANDONED = "The server ended before the answer was complete."


@dataclass(frozen=True, slots=True)
class TurnEnding:
    """How an answer ended.

    ``seen`` are the images that the model saw, ``beside`` its thinking and its tool calls.
    """

    status: Status
    text: str
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: str | None = None
    seen: tuple[SeenImage, ...] = ()
    beside: tuple[Part, ...] = ()


def end(
    session: Session,
    conversation_id: str,
    answer_id: str,
    ending: TurnEnding,
    context: dict[str, Any] | None,
) -> bool:
    """Store how an answer ended; False if the conversation has been deleted meanwhile."""
    found = conversations.lock_conversation(session, conversation_id)
    row = rows.lock_message(session, conversation_id, answer_id)
    if found is None or row is None:
        return False
    if row.status != "generating":  # it counted as abandoned and is indexed already
        search.unindex_messages(session, found, [row])
    if ending.seen:
        images.record_seen_images(session, conversation_id, answer_id, ending.seen)
    listed = not ending.beside or _store_beside(session, found, row, answer_id, ending)
    _finish(
        session,
        found,
        row._replace(content=ending.text),
        listed=listed,
        status=ending.status,
        content=ending.text,
        finish_reason=ending.finish_reason,
        usage=ending.usage,
        context=context,
        error=ending.error,
    )
    return True


def _store_beside(
    session: Session, found: ConversationRow, row: MessageRow, answer_id: str, ending: TurnEnding
) -> bool:
    """Store the thinking and the tool calls of an answer; whether it is listed still.

    One that calls tools is not: the branch then ends with its question.
    """
    thinking = [part for part in ending.beside if isinstance(part, ThinkingPart)]
    calls = [part for part in ending.beside if not isinstance(part, ThinkingPart)]
    answer = types.Message("assistant", (*thinking, TextPart(ending.text), *calls))
    listed = messages.store_parts(session, found.id, answer_id, parts.without_nul(answer))
    if not listed and found.active_leaf_id == answer_id:
        rows.update_conversation(session, found.id, active_leaf_id=row.parent_id)
    return listed


def _finish(
    session: Session,
    found: IndexedConversation,
    row: IndexedMessage,
    *,
    listed: bool = True,
    **values: Any,
) -> None:
    moment = now()
    ended = {"finished_at": moment, "lease_until": None, "stopping": False}
    rows.update_message(session, row.seq, **values, **ended)
    rows.update_conversation(session, found.id, updated_at=moment)
    if listed:
        search.index_messages(session, found, [row])


def fail(session: Session, found: IndexedConversation, row: IndexedMessage) -> None:
    """Store an abandoned answer as failed, with the text it had."""
    _finish(session, found, row, status="failed", error=ABANDONED)


def fail_abandoned(session: Session, *, all_running: bool) -> int:
    """Store abandoned answers as failed; with ``all_running``, every running answer."""
    running = select(Conversation, Message).join(
        Message, Message.conversation_id == Conversation.id
    )
    dead = running.where(Message.status == "generating")
    if not all_running:
        dead = dead.where(Message.lease_until < now())
    # A locked answer is being ended by another transaction already.
    found = session.execute(dead.with_for_update(key_share=True, skip_locked=True)).all()
    for conversation, row in found:
        fail(session, conversation, row)
    return len(found)


def any_abandoned(session: Session) -> bool:
    """Whether there are abandoned answers."""
    expired = select(Message.seq).where(Message.status == "generating", Message.lease_until < now())
    return session.scalar(expired.limit(1)) is not None
