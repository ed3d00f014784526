"""Full-text search: conversations with a message that holds every word of a query.

An index of grams (see there) gives candidates, the newest first; the text itself decides. SQLite
keeps the grams in an FTS5 table without content, PostgreSQL their hashes in an array under a GIN
index. A tag of the owner is one more gram, so that a search costs what its owner has stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    TextClause,
    exists,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.orm import Session

from app.conversations.store.index_dialects import dialect_of
from app.conversations.store.ngrams import (
    conversation_tag,
    document,
    holds,
    owner_tag,
    required,
    words,
)
from app.storage.tables import HIDDEN, Conversation, IndexBacklog, Message

INDEX = "message_grams"
"""The table of the index."""

NEWEST = 2**62
"""Above every ``seq``."""

READ_AHEAD = 64
"""Candidates read at once."""


@dataclass(frozen=True, slots=True)
class Match:
    """The newest message of a conversation that holds what is looked for."""

    conversation_id: str
    message_id: str
    seq: int
    content: str


PIECE = 20_000
"""Grams that one transaction of the work in the background writes."""

PIECE_PAGES = 64
"""How many pages FTS5 may merge in such a transaction, so that it keeps pace."""

AT_ONCE = 20_000
"""Letters that are indexed within a transaction that stores something; the rest is done later."""


Entry = tuple[int, list[str]]
"""A message, by its ``seq``, and grams of it."""

OVERHEAD = 100
"""Letters that take as long as a statement without any."""

MOST_NUMBERS = 500
"""Values of one statement; SQLite has a limit."""


# ---------------------------------------------------------------- upkeep


def add(session: Session, found: Conversation, rows: Sequence[Message]) -> None:
    """Index messages that are stored and have their final text: now, or soon where it is long."""
    # As long as a conversation is hidden, its owner's tag is not known.
    now, later = _divided(rows) if found.owner != HIDDEN else ([], list(rows))
    if now:
        write(session, [(row.seq, grams(found, row)) for row in now])
    _postpone(session, found, later, indexed=0)


def drop(session: Session, found: Conversation, rows: Sequence[Message]) -> None:
    """Take messages out again at once; title and texts must be those that were indexed."""
    lock(session, [row.seq for row in rows])
    waiting = jobs(session, [row.seq for row in rows])
    entries = []
    for row in rows:
        job = waiting.get(row.seq)
        title = job.title if job else found.title
        entries.append((row.seq, grams(found, row, title)[: job.indexed if job else None]))
    erase(session, entries)
    for job in waiting.values():
        session.delete(job)
    session.flush()


def retitle(session: Session, found: Conversation, title: str) -> None:
    """Change the title of a conversation, also with its first questions, which carry it."""
    first = (
        Message.conversation_id == found.id,
        Message.parent_id.is_(None),
        Message.status != "generating",
        ~exists().where(IndexBacklog.seq == Message.seq),  # the others' work takes care of it
    )
    now = _short_enough(session, first)
    later = select(Message.seq, null(), literal(found.title)).where(*first, Message.seq.not_in(now))
    columns = ["seq", "indexed", "title"]
    session.execute(insert(IndexBacklog).from_select(columns, later, include_defaults=False))
    rows = session.scalars(select(Message).where(Message.seq.in_(now))).all()
    if rows:
        erase(session, [(row.seq, grams(found, row)) for row in rows])
    found.title = title
    if rows:
        write(session, [(row.seq, grams(found, row)) for row in rows])


def _short_enough(session: Session, which: Sequence[ColumnElement[bool]]) -> list[int]:
    """Those that can be indexed at once; what is long is not even read."""
    room, numbers = AT_ONCE, []
    sizes = select(Message.seq, func.length(Message.content)).where(*which).order_by(Message.seq)
    found = session.execute(sizes, execution_options={"yield_per": 16})
    for seq, size in found:
        room -= size + OVERHEAD
        if room < 0:
            break
        numbers.append(seq)
    found.close()
    return numbers


def lock(session: Session, numbers: Sequence[int]) -> None:
    """Wait for other servers that are indexing these messages, and keep them from it."""
    for some in batched(sorted(numbers), MOST_NUMBERS):
        wanted = select(IndexBacklog.seq).where(IndexBacklog.seq.in_(some))
        session.execute(wanted.order_by(IndexBacklog.seq).with_for_update())


def grams(found: Conversation, row: Message, title: str | None = None) -> list[str]:
    """What is indexed of a message; the grams that only the title has come last."""
    tags = owner_tag(found.owner), conversation_tag(found.id)
    return document(_text(found.title if title is None else title, row), *tags)


def write(
    session: Session, entries: Sequence[Entry], begun: Collection[int] = (), pages: int = 4
) -> None:
    """Put grams of messages into the index; of those in ``begun`` it has some already."""
    dialect = dialect_of(session)
    _execute(session, dialect.add, entries)
    if dialect.in_pieces:
        _execute(session, dialect.drop, [(seq, []) for seq in begun])
    _keep_up(session, pages)


def erase(
    session: Session, entries: Sequence[Entry], staying: Collection[int] = (), pages: int = 4
) -> None:
    """Take out grams that are in the index; of those in ``staying`` others remain there."""
    dialect = dialect_of(session)
    if dialect.in_pieces:
        _execute(session, dialect.add, [(seq, []) for seq in staying])
        entries = [entry for entry in entries if entry[1]]
    _execute(session, dialect.drop, entries)
    _keep_up(session, pages)


def _execute(session: Session, statement: TextClause, entries: Sequence[Entry]) -> None:
    indexed = dialect_of(session).indexed
    values = [{"seq": seq, "grams": indexed(found)} for seq, found in entries]
    if values:
        # Not through the session, which takes as long as the database does: these are no objects.
        session.connection().execute(statement, values)


def _keep_up(session: Session, pages: int) -> None:
    if (upkeep := dialect_of(session).upkeep) is not None:
        session.connection().execute(upkeep, {"pages": pages})


def _divided(rows: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Those that are short enough together to be indexed now, and those that are not."""
    room = AT_ONCE
    now: list[Message] = []
    later: list[Message] = []
    for row in rows:
        room -= len(row.content) + OVERHEAD
        (now if room >= 0 else later).append(row)
    return now, later


def jobs(session: Session, numbers: Sequence[int]) -> dict[int, IndexBacklog]:
    """The work that is left to do for these messages."""
    found: dict[int, IndexBacklog] = {}
    for some in batched(numbers, MOST_NUMBERS):
        rows = session.scalars(select(IndexBacklog).where(IndexBacklog.seq.in_(some)))
        found |= {job.seq: job for job in rows}
    return found


def _postpone(
    session: Session, found: Conversation, rows: Sequence[Message], indexed: int | None
) -> None:
    values = [{"seq": row.seq, "indexed": indexed, "title": found.title} for row in rows]
    if values:
        session.execute(insert(IndexBacklog), values)


def batched(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """The numbers, so many at a time."""
    return (numbers[at : at + size] for at in range(0, len(numbers), size))


def _text(title: str, row: Message | Row[Any]) -> str:
    return row.content if row.parent_id else f"{row.content}\n{title}"


# ---------------------------------------------------------------- search


def find(session: Session, owner: str, query: str, limit: int, before: int | None) -> list[Match]:
    """A page of conversations, those with the newest match first.

    ``before`` is the ``seq`` of the last match seen. A query without a letter finds nothing.
    """
    wanted = words(query)
    if not wanted:
        return []
    listed: set[str] = set()
    page: list[Match] = []
    candidates = _candidates(session, owner, [owner_tag(owner), *required(wanted)], before=before)
    for row in candidates:
        if row.conversation_id in listed or not holds(_text(row.title, row), wanted):
            continue
        listed.add(row.conversation_id)
        if before is None or not _seen(session, owner, wanted, row.conversation_id, before):
            page.append(Match(row.conversation_id, row.id, row.seq, row.content))
        if len(page) == limit:
            break
    candidates.close()
    return page


def _seen(
    session: Session, owner: str, wanted: list[str], conversation_id: str, since: int
) -> bool:
    """Whether the conversation has a newer match, and so was on an earlier page."""
    grams = [conversation_tag(conversation_id), *required(wanted)]
    candidates = _candidates(session, owner, grams, since=since)
    found = any(
        row.conversation_id == conversation_id and holds(_text(row.title, row), wanted)
        for row in candidates
    )
    candidates.close()
    return found


def _candidates(
    session: Session,
    owner: str,
    grams: Sequence[str],
    before: int | None = None,
    since: int = 0,
) -> Any:
    dialect = dialect_of(session)
    asked = {
        "grams": dialect.sought(grams),
        "before": NEWEST if before is None else before,
        "since": since,
        "owner": owner,
    }
    options = {"yield_per": READ_AHEAD}
    return session.execute(dialect.candidates, asked, execution_options=options)
