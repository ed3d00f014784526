"""Removal of large conversations: hidden in one short transaction, deleted in many.

A conversation that is imported in pieces is hidden at first. If its import is not completed, it is
deleted in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from app.conversations.store import images, index_dialects, search
from app.conversations.store.extras import EXTRA_OF_MESSAGE, PARTS_LENGTH
from app.conversations.store.index_dialects import dialect_of
from app.storage.errors import StorageUnavailable
from app.storage.ids import now
from app.storage.tables import (
    HIDDEN,
    Conversation,
    IndexBacklog,
    Message,
    MessageExtra,
    MessageImage,
    Removal,
    SeenImage,
    Truncation,
)

MAX_MESSAGES = 100
"""Messages that one transaction deletes."""

MAX_IMAGES = 4
"""Images that one transaction deletes. SQLite overwrites them, and one may have ten megabytes."""

IMPORT_LEASE_MILLISECONDS = 60_000
"""An import that has not renewed its lease for this time counts as abandoned."""


# ---------------------------------------------------------------- hiding


def is_large(session: Session, conversation_id: str) -> bool:
    """Whether a conversation is too large to delete in one transaction, or is being indexed."""
    mine = Message.conversation_id == conversation_id
    length = func.length(Message.content) + PARTS_LENGTH
    wanted = select(length).outerjoin_from(Message, MessageExtra, EXTRA_OF_MESSAGE).where(mine)
    sizes = session.scalars(wanted.limit(MAX_MESSAGES + 1)).all()
    if len(sizes) > MAX_MESSAGES or sum(sizes) > search.MAX_LETTERS_AT_ONCE:
        return True
    uses = select(MessageImage.position).where(MessageImage.conversation_id == conversation_id)
    if len(session.scalars(uses.limit(MAX_IMAGES + 1)).all()) > MAX_IMAGES:
        return True
    in_backlog = exists().where(mine, IndexBacklog.seq == Message.seq)
    return bool(session.scalar(select(in_backlog)))


def hide_for_removal(session: Session, found: Conversation, after: int = 0) -> None:
    """Hide the conversation from its owner and schedule its removal after that time.

    A running answer is deleted at once: its turn finds the conversation gone.
    """
    running = Message.conversation_id == found.id, Message.status == "generating"
    answer = MessageExtra.message_id.in_(select(Message.id).where(*running))
    mine = MessageExtra.conversation_id == found.id
    session.execute(
        delete(MessageExtra).where(mine, answer), execution_options={"synchronize_session": False}
    )
    session.execute(delete(Message).where(*running))
    session.add(Removal(conversation_id=found.id, owner=found.owner, after=after))
    found.owner = HIDDEN
    session.flush()


def create_hidden(session: Session, made: Conversation) -> None:
    """Store a conversation for an import; ``publish_import`` shows it when it is complete."""
    session.add(made)
    session.flush()
    hide_for_removal(session, made, now() + IMPORT_LEASE_MILLISECONDS)


def renew_import_lease(session: Session, conversation_id: str) -> None:
    """Extend the lease of an import; raises StorageUnavailable if it has expired."""
    found = session.get(Removal, conversation_id, with_for_update=True)
    if found is None or found.after < now():
        raise StorageUnavailable("Storing the import took too long and was given up: try again.")
    found.after = now() + IMPORT_LEASE_MILLISECONDS


def publish_import(session: Session, conversation_id: str) -> None:
    """Show a complete import to its owner; raises StorageUnavailable if its lease has expired."""
    renew_import_lease(session, conversation_id)
    hidden = session.get_one(Removal, conversation_id)
    session.get_one(Conversation, conversation_id).owner = hidden.owner
    session.delete(hidden)


def abandon_import(session: Session, conversation_id: str) -> None:
    """Have a failed import deleted now."""
    if (found := session.get(Removal, conversation_id, with_for_update=True)) is not None:
        found.after = 0


# ---------------------------------------------------------------- deleting


@dataclass(frozen=True, slots=True)
class MessageToDelete:
    """A message to be deleted, and its grams in the index, made with ``title``.

    ``job`` holds ``indexed`` and ``title`` of its backlog row, None if it has none.
    """

    seq: int
    id: str
    title: str
    grams: list[str]
    job: tuple[int | None, str] | None


@dataclass(frozen=True, slots=True)
class RemovalBatch:
    """Messages of a conversation to be deleted, the newest first."""

    conversation_id: str
    messages: list[MessageToDelete]


def next_batch(session: Session) -> RemovalBatch | None:
    """What is to be deleted next; call it in a read-only transaction."""
    due = select(Removal, Conversation).join(
        Conversation, Conversation.id == Removal.conversation_id
    )
    first = session.execute(due.where(Removal.after < now()).limit(1)).first()
    if first is None:
        return None
    session.expunge_all()
    found: Conversation = first.Conversation
    found.owner = first.Removal.owner  # the index has it under its real owner
    pieces = dialect_of(session).in_pieces
    return RemovalBatch(
        found.id,
        [
            _message_to_delete(found, row, needs_grams=pieces)
            for row in _newest_messages(session, found.id)
        ],
    )


def _newest_messages(session: Session, conversation_id: str) -> list[Any]:
    """The newest messages, as many as can be cut into grams quickly."""
    mine = (
        select(Message, IndexBacklog, MessageExtra.listed, PARTS_LENGTH)
        .outerjoin(IndexBacklog, IndexBacklog.seq == Message.seq)
        .outerjoin(MessageExtra, EXTRA_OF_MESSAGE)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.seq.desc())
    )
    room = search.MAX_LETTERS_AT_ONCE
    taken: list[Any] = []
    options = {"yield_per": 4}
    with closing(session.execute(mine.limit(MAX_MESSAGES), execution_options=options)) as rows:
        for row in rows:
            room -= len(row.Message.content) + row[-1]
            if taken and room < 0:
                break
            taken.append(row)
    return taken


def _message_to_delete(found: Conversation, row: Any, *, needs_grams: bool) -> MessageToDelete:
    message, job, listed, _ = row
    if listed is False:  # never indexed
        return MessageToDelete(message.seq, message.id, found.title, [], None)
    state = (job.indexed, job.title) if job else None
    indexed, title = state or (None, found.title)
    grams = search.message_grams(found, message, title)[:indexed] if needs_grams else []
    return MessageToDelete(message.seq, message.id, title, grams, state)


def delete_batch(session: Session, batch: RemovalBatch) -> RemovalBatch | None:
    """Delete as much of a batch as fits into a short transaction; return what is left of it.

    If another server has changed these messages, nothing is done and None is returned.
    """
    if (removal := _lock_due_removal(session, batch.conversation_id)) is None:
        return None
    if images.delete_some_uses(session, batch.conversation_id, MAX_IMAGES):
        return batch
    search.lock_backlog(session, [one.seq for one in batch.messages])
    if not _is_as_read(session, batch):
        return None
    left = _unindex(session, batch)
    deleted = batch.messages[: len(batch.messages) - len(left)]
    _delete_messages(session, batch.conversation_id, deleted)
    if not left and not _any_left(session, batch.conversation_id):
        session.delete(removal)
        session.flush()
        session.execute(delete(Conversation).where(Conversation.id == batch.conversation_id))
    return replace(batch, messages=left) if left else None


def _lock_due_removal(session: Session, conversation_id: str) -> Removal | None:
    """Lock the removal; None if it is not due or another server has locked it."""
    wanted = select(Removal).where(Removal.conversation_id == conversation_id)
    removal = session.scalar(wanted.with_for_update(skip_locked=True))
    return None if removal is None or removal.after >= now() else removal


def _is_as_read(session: Session, batch: RemovalBatch) -> bool:
    numbers = [one.seq for one in batch.messages]
    present = set(session.scalars(select(Message.seq).where(Message.seq.in_(numbers))))
    jobs = search.read_backlog(session, numbers)
    states = {seq: (job.indexed, job.title) for seq, job in jobs.items()}
    return present == set(numbers) and all(states.get(one.seq) == one.job for one in batch.messages)


def _unindex(session: Session, batch: RemovalBatch) -> list[MessageToDelete]:
    """Remove grams from the index, last ones first; return the messages that still have some."""
    room = search.GRAMS_PER_PIECE
    entries: list[index_dialects.GramEntry] = []
    left: list[MessageToDelete] = []
    staying: list[int] = []
    for at, one in enumerate(batch.messages):
        if room <= 0:
            left += batch.messages[at:]
            break
        stays = max(0, len(one.grams) - room)
        room -= max(1, len(one.grams) - stays)
        entries.append((one.seq, one.grams[stays:]))
        if stays:
            left.append(_keep_first_grams(session, one, stays))
            staying.append(one.seq)
    index_dialects.remove_grams(session, entries, staying, search.MERGED_PAGES_PER_PIECE)
    return left


def _keep_first_grams(session: Session, one: MessageToDelete, stays: int) -> MessageToDelete:
    session.merge(IndexBacklog(seq=one.seq, indexed=stays, title=one.title))
    return replace(one, grams=one.grams[:stays], job=(stays, one.title))


def _delete_messages(
    session: Session, conversation_id: str, gone: Sequence[MessageToDelete]
) -> None:
    names, numbers = [one.id for one in gone], [one.seq for one in gone]
    for table in (Truncation, SeenImage, MessageExtra):
        uses = table.conversation_id == conversation_id, table.message_id.in_(names)
        session.execute(delete(table).where(*uses))
    session.execute(delete(IndexBacklog).where(IndexBacklog.seq.in_(numbers)))
    session.execute(delete(Message).where(Message.seq.in_(numbers)))


def _any_left(session: Session, conversation_id: str) -> bool:
    mine = select(Message.seq).where(Message.conversation_id == conversation_id)
    return session.scalar(mine.limit(1)) is not None
