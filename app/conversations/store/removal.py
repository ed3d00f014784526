"""Large conversations: hidden in one short transaction, taken away in many.

A conversation that is imported in pieces begins hidden as well, and goes the same way if its import
does not come to an end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from app.conversations.store import images, search
from app.conversations.store.index_dialects import dialect_of
from app.storage.errors import StorageUnavailable
from app.storage.ids import now
from app.storage.tables import (
    HIDDEN,
    Conversation,
    IndexBacklog,
    Message,
    MessageImage,
    Removal,
    SeenImage,
    Truncation,
)

MOST_MESSAGES = 100
"""Messages that one transaction takes away."""

MOST_IMAGES = 4
"""Likewise: SQLite overwrites what it deletes, and a picture may have ten megabytes."""

IMPORT_LEASE = 60_000
"""Milliseconds after which an import without a sign of life counts as abandoned."""


# ---------------------------------------------------------------- hiding


def is_large(session: Session, conversation_id: str) -> bool:
    """Whether it takes too long to delete in one transaction, or is being indexed."""
    mine = Message.conversation_id == conversation_id
    sizes = session.scalars(
        select(func.length(Message.content)).where(mine).limit(MOST_MESSAGES + 1)
    ).all()
    if len(sizes) > MOST_MESSAGES or sum(sizes) > search.AT_ONCE:
        return True
    uses = select(MessageImage.position).where(MessageImage.conversation_id == conversation_id)
    if len(session.scalars(uses.limit(MOST_IMAGES + 1)).all()) > MOST_IMAGES:
        return True
    waits = exists().where(mine, IndexBacklog.seq == Message.seq)
    return bool(session.scalar(select(waits)))


def hide(session: Session, found: Conversation, after: int = 0) -> None:
    """Let nobody see the conversation any more, and have it taken away after that time.

    Whoever makes an answer in it finds it gone.
    """
    running = Message.conversation_id == found.id, Message.status == "generating"
    session.execute(delete(Message).where(*running))
    session.add(Removal(conversation_id=found.id, owner=found.owner, after=after))
    found.owner = HIDDEN
    session.flush()


def begin_hidden(session: Session, made: Conversation) -> None:
    """Store a conversation whose messages come in other transactions, up to ``show``."""
    session.add(made)
    session.flush()
    hide(session, made, now() + IMPORT_LEASE)


def renew(session: Session, conversation_id: str) -> None:
    """Show that an import goes on; raises StorageUnavailable where it has been given up."""
    found = session.get(Removal, conversation_id, with_for_update=True)
    if found is None or found.after < now():
        raise StorageUnavailable("Storing the import took too long and was given up: try again.")
    found.after = now() + IMPORT_LEASE


def show(session: Session, conversation_id: str) -> None:
    """Let its owner see a conversation whose import is complete; raises likewise."""
    renew(session, conversation_id)
    hidden = session.get_one(Removal, conversation_id)
    session.get_one(Conversation, conversation_id).owner = hidden.owner
    session.delete(hidden)


def give_up(session: Session, conversation_id: str) -> None:
    """Have an import that failed taken away now."""
    if (found := session.get(Removal, conversation_id, with_for_update=True)) is not None:
        found.after = 0


# ---------------------------------------------------------------- taking away


@dataclass(frozen=True, slots=True)
class MessageToDelete:
    """A message to be taken away: its grams in the index, made with that title.

    ``job`` is what its backlog row says, None where there is none.
    """

    seq: int
    id: str
    title: str
    grams: list[str]
    job: tuple[int | None, str] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some messages of a conversation to be taken away, the last ones first."""

    conversation_id: str
    messages: list[MessageToDelete]


def next_batch(session: Session) -> Batch | None:
    """What is to be taken away next; to be called in a transaction that only reads."""
    due = select(Removal, Conversation).join(
        Conversation, Conversation.id == Removal.conversation_id
    )
    first = session.execute(due.where(Removal.after < now()).limit(1)).first()
    if first is None:
        return None
    session.expunge_all()
    found: Conversation = first.Conversation
    found.owner = first.Removal.owner  # as it was indexed
    pieces = dialect_of(session).in_pieces
    return Batch(
        found.id,
        [_messages_to_delete(found, row, needs_grams=pieces) for row in _last(session, found.id)],
    )


def _last(session: Session, conversation_id: str) -> list[Any]:
    """The last messages, not more at once than are quickly cut into grams."""
    mine = (
        select(Message, IndexBacklog)
        .outerjoin(IndexBacklog, IndexBacklog.seq == Message.seq)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.seq.desc())
    )
    room = search.AT_ONCE
    taken: list[Any] = []
    rows = session.execute(mine.limit(MOST_MESSAGES), execution_options={"yield_per": 4})
    for row in rows:
        room -= len(row.Message.content)
        if taken and room < 0:
            break
        taken.append(row)
    rows.close()
    return taken


def _messages_to_delete(found: Conversation, row: Any, *, needs_grams: bool) -> MessageToDelete:
    message, job = row
    state = (job.indexed, job.title) if job else None
    indexed, title = state or (None, found.title)
    grams = search.grams(found, message, title)[:indexed] if needs_grams else []
    return MessageToDelete(message.seq, message.id, title, grams, state)


def delete_batch(session: Session, batch: Batch) -> Batch | None:
    """Take away as much of a batch as fits into a short transaction; return what is left of it.

    Where another server was faster, nothing is done, and the batch is of no use any more.
    """
    wanted = select(Removal).where(Removal.conversation_id == batch.conversation_id)
    hidden = session.scalar(wanted.with_for_update(skip_locked=True))
    if hidden is None or hidden.after >= now():
        return None
    if images.forget_some(session, batch.conversation_id, MOST_IMAGES):
        return batch
    search.lock(session, [one.seq for one in batch.messages])
    if not _is_as_read(session, batch):
        return None
    left = _erase(session, batch)
    _delete(session, batch.conversation_id, batch.messages[: len(batch.messages) - len(left)])
    if not left and not _any_left(session, batch.conversation_id):
        session.delete(hidden)
        session.flush()
        session.execute(delete(Conversation).where(Conversation.id == batch.conversation_id))
    return replace(batch, messages=left) if left else None


def _is_as_read(session: Session, batch: Batch) -> bool:
    numbers = [one.seq for one in batch.messages]
    present = set(session.scalars(select(Message.seq).where(Message.seq.in_(numbers))))
    jobs = search.jobs(session, numbers)
    states = {seq: (job.indexed, job.title) for seq, job in jobs.items()}
    return present == set(numbers) and all(states.get(one.seq) == one.job for one in batch.messages)


def _erase(session: Session, batch: Batch) -> list[MessageToDelete]:
    """Take grams out of the index, from the last one on; return the messages that have some."""
    room = search.PIECE
    entries: list[search.Entry] = []
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
            left.append(_shortened(session, one, stays))
            staying.append(one.seq)
    search.erase(session, entries, staying, search.PIECE_PAGES)
    return left


def _shortened(session: Session, one: MessageToDelete, stays: int) -> MessageToDelete:
    session.merge(IndexBacklog(seq=one.seq, indexed=stays, title=one.title))
    return replace(one, grams=one.grams[:stays], job=(stays, one.title))


def _delete(session: Session, conversation_id: str, gone: Sequence[MessageToDelete]) -> None:
    names, numbers = [one.id for one in gone], [one.seq for one in gone]
    for table in (Truncation, SeenImage):
        uses = table.conversation_id == conversation_id, table.message_id.in_(names)
        session.execute(delete(table).where(*uses))
    session.execute(delete(IndexBacklog).where(IndexBacklog.seq.in_(numbers)))
    session.execute(delete(Message).where(Message.seq.in_(numbers)))


def _any_left(session: Session, conversation_id: str) -> bool:
    mine = select(Message.seq).where(Message.conversation_id == conversation_id)
    return session.scalar(mine.limit(1)) is not None
