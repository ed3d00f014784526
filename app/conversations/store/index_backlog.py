"""Long texts on their way into the search index.

``next_plans`` reads the work in a read-only transaction. Cutting texts into grams happens outside
of transactions. ``write_piece`` and ``remove_finished`` are short write transactions, so that the
single writer of SQLite is never blocked for long. PostgreSQL has several writers; there, the grams
of a message are written at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.conversations.store import conversations, index_dialects, search
from app.conversations.store.index_dialects import dialect_of
from app.storage.tables import HIDDEN, Conversation, IndexBacklog, Message

MAX_PLANS = 200
"""Messages of one round."""


@dataclass(slots=True)
class IndexPlan:
    """The work for one message; ``indexed`` and ``title`` are those of its backlog row.

    The grams ``stale`` are removed, then ``grams`` are added from index ``at`` on.
    """

    conversation: Conversation
    message: Message
    indexed: int | None
    title: str
    grams: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    index: int = 0
    done: bool = False

    def prepare(self) -> None:
        """Cut the text into grams."""
        self.grams = search.message_grams(self.conversation, self.message)
        self.index = len(self.grams) if self.indexed is None else self.indexed
        if self.title != self.conversation.title:
            present = search.message_grams(self.conversation, self.message, self.title)[
                : self.indexed
            ]
            untitled = len(search.message_grams(self.conversation, self.message, ""))
            self.stale = present[untitled:]
            self.index = min(len(present), untitled)


def next_plans(session: Session) -> list[IndexPlan]:
    """The work for some messages, the oldest first."""
    waiting = (
        select(IndexBacklog, Message, Conversation)
        .join(Message, Message.seq == IndexBacklog.seq)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Conversation.owner != HIDDEN)
        .order_by(IndexBacklog.seq)
        .limit(MAX_PLANS)
    )
    plans: list[IndexPlan] = []
    room = search.MAX_LETTERS_AT_ONCE
    with closing(session.execute(waiting, execution_options={"yield_per": 4})) as rows:
        for job, message, found in rows:
            room -= len(message.content)
            if plans and room < 0:
                break
            plans.append(IndexPlan(found, message, job.indexed, job.title))
    return plans


@dataclass(frozen=True, slots=True)
class _Piece:
    """Grams of a message to remove and to add; ``begun``: the index has some of it already."""

    seq: int
    stale: list[str]
    new: list[str]
    begun: bool


def write_piece(session: Session, plans: Sequence[IndexPlan]) -> bool:
    """Index as much as fits into a short transaction; whether some work is left."""
    pieces = list(_next_pieces(session, plans))
    session.flush()
    stale = [(piece.seq, piece.stale) for piece in pieces]
    staying = [piece.seq for piece in pieces if piece.stale]
    index_dialects.remove_grams(session, stale, staying, search.MERGED_PAGES_PER_PIECE)
    new = [(piece.seq, piece.new) for piece in pieces]
    begun = [piece.seq for piece in pieces if piece.begun]
    index_dialects.add_grams(session, new, begun, search.MERGED_PAGES_PER_PIECE)
    return not all(plan.done for plan in plans)


def _next_pieces(session: Session, plans: Sequence[IndexPlan]) -> Iterator[_Piece]:
    """Pieces that one transaction writes; also advances the plans and the backlog rows."""
    room = search.GRAMS_PER_PIECE
    for plan in plans:
        if plan.done or room <= 0:
            continue
        if (job := _lock_job(session, plan)) is None:
            plan.done = True
            continue
        piece = _next_piece(session, plan, room)
        room -= len(piece.stale) + len(piece.new)
        job.title, job.indexed = plan.title, plan.indexed
        yield piece


def _lock_job(session: Session, plan: IndexPlan) -> IndexBacklog | None:
    """Lock the backlog row; None if the row or the texts have changed since the plan was made."""
    seq = plan.message.seq
    mine = select(IndexBacklog).where(IndexBacklog.seq == seq)
    job = session.scalar(mine.with_for_update(skip_locked=True))
    texts = select(Message.content, Conversation.title).join(
        Conversation, Conversation.id == Message.conversation_id
    )
    present = session.execute(texts.where(Message.seq == seq, Conversation.owner != HIDDEN)).first()
    if job is None or (job.indexed, job.title) != (plan.indexed, plan.title):
        return None
    return job if present == (plan.message.content, plan.conversation.title) else None


def _next_piece(session: Session, plan: IndexPlan, room: int) -> _Piece:
    """The next piece of a plan, which advances behind it."""
    stale, begun = plan.stale, plan.index > 0
    if dialect_of(session).in_pieces:
        new = plan.grams[plan.index : plan.index + room]
        plan.index += len(new)
    else:
        new, plan.index = plan.grams, len(plan.grams)
    plan.stale, plan.title = [], plan.conversation.title
    plan.done = plan.index == len(plan.grams)
    plan.indexed = None if plan.done else plan.index
    return _Piece(plan.message.seq, stale, new, begun)


def remove_finished(session: Session, plans: Sequence[IndexPlan]) -> bool:
    """Delete finished backlog rows, unless their title has changed; whether there were any."""
    settled: list[int] = []
    numbers: dict[str, list[int]] = {}
    for plan in plans:
        numbers.setdefault(plan.conversation.id, []).append(plan.message.seq)
    for name in sorted(numbers):
        if (found := conversations.lock_conversation(session, name)) is not None:
            mine = IndexBacklog.seq.in_(numbers[name]), IndexBacklog.title == found.title
            ready = delete(IndexBacklog).where(*mine, IndexBacklog.indexed.is_(None))
            settled += session.scalars(ready.returning(IndexBacklog.seq)).all()
    return bool(settled)
