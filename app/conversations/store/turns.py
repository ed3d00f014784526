"""One turn in the database: begun, kept alive while it runs, ended exactly once.

The row of a running answer is ``generating`` and holds a lease. ``end`` writes its last word
whoever asks; an answer whose maker died is ended by ``repair``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.conversations.errors import ConversationBusy
from app.conversations.store import conversations, images, search, tree
from app.conversations.store.images import Attached
from app.conversations.store.tree import Said
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


@dataclass(frozen=True, slots=True)
class Ids:
    """Names of the rows of a turn, made before them, so that a stream can begin with them."""

    conversation: str
    question: str
    answer: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Opening:
    """What every turn begins with: whose, under which names, of which model; changes of setup."""

    owner: str
    ids: Ids
    model: str
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: words, pictures, and what the model reads for the words if not the same.

    ``parent`` is the message it follows; ``follows_leaf`` says to follow the active branch instead.
    """

    content: str
    prompt: str | None
    parent: str | None = None
    follows_leaf: bool = True
    images: tuple[Attached, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """A conversation that begins with this turn; ``earlier`` was said elsewhere before."""

    title: str
    earlier: tuple[Said, ...] = ()


def begin(
    session: Session, opening: Opening, question: Question, start: Start | None
) -> list[Said]:
    """Store the question and an answer that is being made; return all that was said so far.

    The question comes last. Raises ConversationNotFound, MessageNotFound, InvalidRequest for a
    parent that is no answer, and ConversationBusy while another answer is being made.
    """
    ids = opening.ids
    earlier: list[Message] = []
    if start:
        found, earlier = _create(session, opening, start)
        parent = earlier[-1].id if earlier else None
    else:
        found = _enter(session, opening)
        parent = _parent(session, found, question)
    asked = _row(found, ids.question, parent, "user", question.content)
    asked.prompt = question.prompt
    session.add(asked)
    _add_answer(session, found, opening)
    images.attach(session, found.id, asked.id, question.images)
    search.add(session, found, [*earlier, asked])
    newest = Said(asked.id, "user", question.prompt or question.content)
    return [*(tree.history(session, found.id, parent) if parent else []), newest]


def begin_again(session: Session, opening: Opening) -> list[Said]:
    """Store a further answer to the question of ``opening``; otherwise like ``begin``."""
    found = _enter(session, opening)
    _add_answer(session, found, opening)
    return tree.history(session, found.id, opening.ids.question)


def before(session: Session, owner: str, conversation_id: str, question: Question) -> list[Said]:
    """What ``begin`` would find said before the question. Stores nothing, raises the same."""
    found = conversations.owned(session, owner, conversation_id)
    return tree.history(session, conversation_id, _parent(session, found, question))


def _create(session: Session, opening: Opening, start: Start) -> tuple[Conversation, list[Message]]:
    name = opening.ids.conversation
    made = conversations.create(session, opening.owner, name, start.title, opening.changes)
    parents = [None, *(said.id for said in start.earlier)]
    rows = [
        _row(made, said.id, parent, said.role, said.text)
        for said, parent in zip(start.earlier, parents, strict=False)
    ]
    session.add_all(rows)
    return made, rows


def _enter(session: Session, opening: Opening) -> Conversation:
    found = conversations.owned(session, opening.owner, opening.ids.conversation, alone=True)
    _require_idle(session, found)
    found.setup = {**found.setup, **opening.changes}
    return found


def _parent(session: Session, found: Conversation, question: Question) -> str | None:
    if question.follows_leaf:
        return _last_answered(session, found)
    if question.parent is not None:
        parent = tree.message(session, found.id, question.parent)
        if parent.role != "assistant":
            raise InvalidRequest("/parent_id", "A question follows an answer, not a question.")
    return question.parent


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


def _add_answer(session: Session, found: Conversation, opening: Opening) -> None:
    answer = _row(found, opening.ids.answer, opening.ids.question, "assistant", "")
    answer.status = "generating"
    answer.model = opening.model
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


def keep(session: Session, ids: Ids, text: str) -> bool | None:
    """Store the text so far and renew the lease; say whether to stop, None if it is gone."""
    row = _held(session, ids)
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


def status(session: Session, ids: Ids) -> str | None:
    """The status of the answer; None if it is gone."""
    row = session.scalar(_ANSWER, {"conversation": ids.conversation, "id": ids.answer})
    return row.status if row else None


def _held(session: Session, ids: Ids) -> Message | None:
    """The answer, locked: between reading and writing it nobody else writes it."""
    return session.scalar(_HELD, {"conversation": ids.conversation, "id": ids.answer})


# ---------------------------------------------------------------- its end


@dataclass(frozen=True, slots=True)
class Ending:
    """The last word on an answer."""

    status: Status
    text: str
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: str | None = None
    seen: tuple[SeenImage, ...] = ()


def end(session: Session, ids: Ids, ending: Ending, context: dict[str, Any] | None) -> bool:
    """Store it; False when the conversation has been deleted meanwhile."""
    found = conversations.held(session, ids.conversation)
    row = _held(session, ids)
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
        images.see(session, ids.conversation, ids.answer, ending.seen)
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
