"""One turn in the database: begun, kept alive while it runs, ended exactly once.

The row of a running answer is ``generating`` and holds a lease. ``end`` writes its last word
whoever asks; an answer whose maker died is ended by ``repair``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.chat.request import TurnRequest, Unset
from app.conversations.errors import ConversationBusy
from app.conversations.store import conversations, images, search, tree
from app.conversations.store.images import Attachment
from app.conversations.store.tree import HistoryMessage
from app.conversations.target import GenerationTarget
from app.errors import InvalidRequest
from app.provider.types import SeenImage
from app.storage.ids import new_id, now
from app.storage.tables import Conversation, Message, Status

LEASE = 15_000
"""Milliseconds after which an answer without a sign of life counts as abandoned."""

ABANDONED = "The server ended before the answer was complete."

# Statements that every turn needs are made once: making them takes longer than running them.
_OF_CONVERSATION = select(Message).where(Message.conversation_id == bindparam("conversation"))
_RUNNING = _OF_CONVERSATION.where(Message.status == "generating").with_for_update()
_ANSWER = _OF_CONVERSATION.where(Message.id == bindparam("id"))
_HELD = _ANSWER.with_for_update()


def begin(
    session: Session,
    request: TurnRequest,
    target: GenerationTarget,
    attachments: Sequence[Attachment] = (),
) -> list[HistoryMessage]:
    """Store the question and an answer that is being made; return the branch as it is now.

    The question comes last. Raises ConversationNotFound, MessageNotFound, InvalidRequest for a
    parent that is no answer, and ConversationBusy while another answer is being made.
    """
    earlier: list[Message] = []
    if request.conversation_id is None:
        found, earlier = _create(session, request, target)
        parent = earlier[-1].id if earlier else None
    else:
        found = _enter(session, target)
        parent = _parent(session, found, request)
    asked = _add_question(session, found, parent, request, target)
    _add_answer(session, found, target)
    images.attach(session, found.id, asked.id, attachments)
    search.add(session, found, [*earlier, asked])
    newest = HistoryMessage(asked.id, "user", target.question)
    return [*(tree.history(session, found.id, parent) if parent else []), newest]


def begin_again(session: Session, target: GenerationTarget) -> list[HistoryMessage]:
    """Store a further answer to the target's question; otherwise like ``begin``."""
    found = _enter(session, target)
    _add_answer(session, found, target)
    return tree.history(session, found.id, target.question_id)


def before(session: Session, owner: str, request: TurnRequest) -> list[HistoryMessage]:
    """The messages that ``begin`` would find before the question; stores nothing."""
    found = conversations.owned(session, owner, request.conversation_id or "")
    return tree.history(session, found.id, _parent(session, found, request))


def _create(
    session: Session, request: TurnRequest, target: GenerationTarget
) -> tuple[Conversation, list[Message]]:
    """A new conversation with the messages of the request's history."""
    questions = (message.text for message in request.history if message.role == "user")
    title = conversations.first_line(next(questions, request.message))
    made = conversations.create(
        session, target.owner, target.conversation_id, title, target.defaults
    )
    rows: list[Message] = []
    for message in request.history:
        parent = rows[-1].id if rows else None
        rows.append(_row(made, new_id(), parent, message.role, message.text))
    session.add_all(rows)
    return made, rows


def _enter(session: Session, target: GenerationTarget) -> Conversation:
    found = conversations.owned(session, target.owner, target.conversation_id, alone=True)
    _require_idle(session, found)
    found.setup = {**found.setup, **target.defaults}
    return found


def _parent(session: Session, found: Conversation, request: TurnRequest) -> str | None:
    """The message that the question follows; raises MessageNotFound, InvalidRequest."""
    if isinstance(request.parent_id, Unset):
        return _last_answered(session, found)
    if request.parent_id is not None:
        parent = tree.message(session, found.id, request.parent_id)
        if parent.role != "assistant":
            raise InvalidRequest("/parent_id", "A question follows an answer, not a question.")
    return request.parent_id


def _last_answered(session: Session, found: Conversation) -> str | None:
    """The active leaf, or the last answer above it that has a word in it.

    A question, and an answer that ended before its first word, are passed by: what is asked next
    takes their place as a sibling.
    """
    at = found.active_leaf_id
    while at is not None:
        leaf = tree.message(session, found.id, at)
        if leaf.role == "assistant" and leaf.content:
            return at
        at = leaf.parent_id
    return None


def _row(found: Conversation, name: str, parent: str | None, role: str, content: str) -> Message:
    return Message(
        id=name,
        conversation_id=found.id,
        parent_id=parent,
        role=role,
        status="complete",
        content=content,
        created_at=now(),
        stopping=False,
    )


def _add_question(
    session: Session,
    found: Conversation,
    parent: str | None,
    request: TurnRequest,
    target: GenerationTarget,
) -> Message:
    asked = _row(found, target.question_id, parent, "user", request.message)
    asked.prompt = target.question if target.question != request.message else None
    session.add(asked)
    return asked


def _add_answer(session: Session, found: Conversation, target: GenerationTarget) -> None:
    answer = _row(found, target.answer_id, target.question_id, "assistant", "")
    answer.status = "generating"
    answer.model = target.model.id
    answer.lease_until = answer.created_at + LEASE
    found.active_leaf_id = answer.id
    found.updated_at = answer.created_at
    session.add(answer)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConversationBusy from error  # another server was faster: the index one_turn


def _require_idle(session: Session, found: Conversation) -> None:
    if (row := session.scalar(_RUNNING, {"conversation": found.id})) is None:
        return
    if (row.lease_until or 0) > now():
        raise ConversationBusy
    _abandon(session, found, row)


# ---------------------------------------------------------------- while it runs


def keep(session: Session, conversation_id: str, answer_id: str, text: str) -> bool | None:
    """Store the text so far and renew the lease; say whether to stop, None if it is gone."""
    row = _held(session, conversation_id, answer_id)
    if row is None:
        return None
    if row.status == "generating":
        row.content = text
        row.lease_until = now() + LEASE
    return row.stopping


def ask_to_stop(session: Session, owner: str, conversation_id: str) -> str | None:
    """Mark the running answer as to be stopped; return its id, None if none is running."""
    conversations.owned(session, owner, conversation_id)
    running = (
        update(Message)
        .where(Message.conversation_id == conversation_id, Message.status == "generating")
        .values(stopping=True)
        .returning(Message.id)
    )
    return session.scalar(running)


def status(session: Session, conversation_id: str, answer_id: str) -> str | None:
    """The status of the answer; None if it is gone."""
    row = session.scalar(_ANSWER, {"conversation": conversation_id, "id": answer_id})
    return row.status if row else None


def _held(session: Session, conversation_id: str, answer_id: str) -> Message | None:
    """The answer, locked: between reading and writing it nobody else writes it."""
    return session.scalar(_HELD, {"conversation": conversation_id, "id": answer_id})


# ---------------------------------------------------------------- its end


@dataclass(frozen=True, slots=True)
class TurnEnding:
    """The last word on an answer."""

    status: Status
    text: str
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: str | None = None
    seen: tuple[SeenImage, ...] = ()


def end(
    session: Session,
    conversation_id: str,
    answer_id: str,
    ending: TurnEnding,
    context: dict[str, Any] | None,
) -> bool:
    """Store it; False when the conversation has been deleted meanwhile."""
    found = conversations.held(session, conversation_id)
    row = _held(session, conversation_id, answer_id)
    if found is None or row is None:
        return False
    if row.status != "generating":  # given up as abandoned: this is the better ending
        search.drop(session, found, [row])
    row.status = ending.status
    row.content = ending.text
    row.finish_reason = ending.finish_reason
    row.usage = ending.usage
    row.context = context
    row.error = ending.error
    if ending.seen:
        images.see(session, conversation_id, answer_id, ending.seen)
    _seal(session, found, row)
    return True


def _seal(session: Session, found: Conversation, row: Message) -> None:
    row.finished_at = found.updated_at = now()
    row.lease_until = None
    row.stopping = False
    session.flush()
    search.add(session, found, [row])


def _abandon(session: Session, found: Conversation, row: Message) -> None:
    row.status = "failed"
    row.error = ABANDONED
    _seal(session, found, row)


def repair(session: Session, *, all_of_them: bool) -> int:
    """End the answers whose makers died; all that run, if the caller knows to be alone."""
    running = select(Conversation, Message).join(
        Message, Message.conversation_id == Conversation.id
    )
    dead = running.where(Message.status == "generating")
    if not all_of_them:
        dead = dead.where(Message.lease_until < now())
    # Where another has the lock, somebody is ending the answer already.
    found = session.execute(dead.with_for_update(key_share=True, skip_locked=True)).all()
    for conversation, row in found:
        _abandon(session, conversation, row)
    return len(found)


def any_abandoned(session: Session) -> bool:
    """Whether ``repair`` would find something."""
    expired = select(Message.seq).where(Message.status == "generating", Message.lease_until < now())
    return session.scalar(expired.limit(1)) is not None
