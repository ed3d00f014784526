"""Long texts on their way into the search index.

``next_plans`` reads what is to be done, in a transaction that only reads; cutting the texts into
grams takes no transaction; ``write_piece`` and ``settle`` are short ones. So nobody waits long for
the only writer of SQLite. PostgreSQL takes the grams of a message at once, and several writers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.conversations.store import conversations, search
from app.conversations.store.index_dialects import dialect_of
from app.storage.tables import HIDDEN, Conversation, IndexBacklog, Message

MOST_PLANS = 200
"""Messages of one round."""


@dataclass(slots=True)
class Plan:
    """What is to be done for one message; ``indexed`` and ``title`` are those of its backlog row.

    ``stale`` grams come out, then ``grams`` come in from number ``at`` on.
    """

    conversation: Conversation
    message: Message
    indexed: int | None
    title: str
    grams: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    at: int = 0
    done: bool = False

    def prepare(self) -> None:
        """Cut the text into grams."""
        self.grams = search.grams(self.conversation, self.message)
        self.at = len(self.grams) if self.indexed is None else self.indexed
        if self.title != self.conversation.title:
            there = search.grams(self.conversation, self.message, self.title)[: self.indexed]
            untitled = len(search.grams(self.conversation, self.message, ""))
            self.stale = there[untitled:]
            self.at = min(len(there), untitled)


def next_plans(session: Session) -> list[Plan]:
    """The work for some messages, the oldest first."""
    waiting = (
        select(IndexBacklog, Message, Conversation)
        .join(Message, Message.seq == IndexBacklog.seq)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Conversation.owner != HIDDEN)
        .order_by(IndexBacklog.seq)
        .limit(MOST_PLANS)
    )
    plans: list[Plan] = []
    room = search.AT_ONCE
    rows = session.execute(waiting, execution_options={"yield_per": 4})
    for job, message, found in rows:
        room -= len(message.content)
        if plans and room < 0:
            break
        plans.append(Plan(found, message, job.indexed, job.title))
    rows.close()
    return plans


def write_piece(session: Session, plans: Sequence[Plan]) -> bool:
    """Index as much as fits into a short transaction; whether some is left."""
    room = search.PIECE
    stale: list[search.Entry] = []
    new: list[search.Entry] = []
    begun: list[int] = []
    for plan in plans:
        if plan.done or room <= 0:
            continue
        if (job := _job(session, plan)) is None:
            plan.done = True
            continue
        if plan.at:
            begun.append(job.seq)
        old, piece = _next_piece(session, plan, room)
        stale.append((job.seq, old))
        new.append((job.seq, piece))
        room -= len(old) + len(piece)
        job.title, job.indexed = plan.title, plan.indexed
    session.flush()
    search.erase(session, stale, [seq for seq, grams in stale if grams], search.PIECE_PAGES)
    search.write(session, new, begun, search.PIECE_PAGES)
    return not all(plan.done for plan in plans)


def _job(session: Session, plan: Plan) -> IndexBacklog | None:
    """The backlog row, locked; None unless everything is as the plan takes it to be."""
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


def _next_piece(session: Session, plan: Plan, room: int) -> tuple[list[str], list[str]]:
    """Grams to take out and grams to put in; the plan goes on after them."""
    stale = plan.stale
    if dialect_of(session).in_pieces:
        piece = plan.grams[plan.at : plan.at + room]
        plan.at += len(piece)
    else:
        piece, plan.at = plan.grams, len(plan.grams)
    plan.stale, plan.title = [], plan.conversation.title
    plan.done = plan.at == len(plan.grams)
    plan.indexed = None if plan.done else plan.at
    return stale, piece


def settle(session: Session, plans: Sequence[Plan]) -> bool:
    """Take what is done off the backlog, unless its title has changed; whether anything is."""
    settled: list[int] = []
    numbers: dict[str, list[int]] = {}
    for plan in plans:
        numbers.setdefault(plan.conversation.id, []).append(plan.message.seq)
    for name in sorted(numbers):
        if (found := conversations.held(session, name)) is not None:
            mine = IndexBacklog.seq.in_(numbers[name]), IndexBacklog.title == found.title
            ready = delete(IndexBacklog).where(*mine, IndexBacklog.indexed.is_(None))
            settled += session.scalars(ready.returning(IndexBacklog.seq)).all()
    return bool(settled)
