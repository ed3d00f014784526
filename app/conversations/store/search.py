"""Full-text search: conversations with a message that contains every word of a query.

An index of n-grams (``ngrams.py``) gives candidates, the newest first; each is checked against its
text. SQLite keeps the grams in an FTS5 table without content, PostgreSQL their hashes in an array
under a GIN index. A tag of the owner is one more gram, so that the cost of a search depends only on
what its owner has stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    exists,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.orm import Session

from app.conversations.store.extras import IS_UNLISTED
from app.conversations.store.index_dialects import add_grams, dialect_of, remove_grams
from app.conversations.store.ngrams import (
    contains_words,
    conversation_tag,
    owner_tag,
    required_grams,
    text_grams,
    words,
)
from app.conversations.store.rows import IndexedConversation, IndexedMessage
from app.storage.tables import HIDDEN, Conversation, IndexBacklog, Message

NEWEST = 2**62
"""Greater than every ``seq``."""

READ_AHEAD = 64
"""Candidates read at once."""


@dataclass(frozen=True, slots=True)
class Match:
    """The newest message of a conversation that contains the words of the query."""

    conversation_id: str
    message_id: str
    seq: int
    content: str


GRAMS_PER_PIECE = 20_000
"""Grams that one transaction of the background work writes."""

MERGED_PAGES_PER_PIECE = 64
"""Pages that FTS5 merges in such a transaction, so that merging keeps pace with writing."""

MAX_LETTERS_AT_ONCE = 20_000
"""Letters that are indexed in the transaction that stores them; longer texts follow later."""


STATEMENT_COST = 100
"""The fixed cost of a statement, in letters that take as long."""

MAX_PARAMETERS = 500
"""Parameters of one statement; SQLite has a limit."""


# ---------------------------------------------------------------- upkeep


def index_messages(
    session: Session, found: IndexedConversation, rows: Sequence[IndexedMessage]
) -> None:
    """Index listed messages whose text is final: short ones now, long ones in the background."""
    # A hidden conversation has no owner yet, so the owner's tag cannot be indexed.
    now, later = _split_by_size(rows) if found.owner != HIDDEN else ([], list(rows))
    if now:
        add_grams(session, [(row.seq, message_grams(found, row)) for row in now])
    _add_to_backlog(session, found, later, indexed=0)


def unindex_messages(
    session: Session, found: IndexedConversation, rows: Sequence[IndexedMessage]
) -> None:
    """Remove listed messages from the index; title and texts must be those that were indexed."""
    lock_backlog(session, [row.seq for row in rows])
    backlog = read_backlog(session, [row.seq for row in rows])
    entries = []
    for row in rows:
        job = backlog.get(row.seq)
        title = job.title if job else found.title
        entries.append((row.seq, message_grams(found, row, title)[: job.indexed if job else None]))
    remove_grams(session, entries)
    for job in backlog.values():
        session.delete(job)
    session.flush()


def retitle(session: Session, found: Conversation, title: str) -> None:
    """Change the title of a conversation; it is indexed with the first questions."""
    first = (
        Message.conversation_id == found.id,
        Message.parent_id.is_(None),
        Message.status != "generating",
        ~IS_UNLISTED,
        ~exists().where(
            IndexBacklog.seq == Message.seq
        ),  # those in the backlog get the new title later
    )
    now = _within_limit(session, first)
    later = select(Message.seq, null(), literal(found.title)).where(*first, Message.seq.not_in(now))
    columns = ["seq", "indexed", "title"]
    session.execute(insert(IndexBacklog).from_select(columns, later, include_defaults=False))
    rows = session.scalars(select(Message).where(Message.seq.in_(now))).all()
    if rows:
        remove_grams(session, [(row.seq, message_grams(found, row)) for row in rows])
    found.title = title
    if rows:
        add_grams(session, [(row.seq, message_grams(found, row)) for row in rows])


def _within_limit(session: Session, which: Sequence[ColumnElement[bool]]) -> list[int]:
    """The messages that can be indexed at once; long texts are not even read."""
    room, numbers = MAX_LETTERS_AT_ONCE, []
    sizes = select(Message.seq, func.length(Message.content)).where(*which).order_by(Message.seq)
    with closing(session.execute(sizes, execution_options={"yield_per": 16})) as found:
        for seq, size in found:
            room -= size + STATEMENT_COST
            if room < 0:
                break
            numbers.append(seq)
    return numbers


def lock_backlog(session: Session, numbers: Sequence[int]) -> None:
    """Lock the backlog of these messages, so that no other server indexes them."""
    for some in batched(sorted(numbers), MAX_PARAMETERS):
        wanted = select(IndexBacklog.seq).where(IndexBacklog.seq.in_(some))
        session.execute(wanted.order_by(IndexBacklog.seq).with_for_update())


def message_grams(
    found: IndexedConversation, row: IndexedMessage, title: str | None = None
) -> list[str]:
    """The tags and grams of a message; those that only the title has come last."""
    tags = owner_tag(found.owner), conversation_tag(found.id)
    return text_grams(_indexed_text(found.title if title is None else title, row), *tags)


def _split_by_size(
    rows: Sequence[IndexedMessage],
) -> tuple[list[IndexedMessage], list[IndexedMessage]]:
    """The messages that are short enough together to be indexed now, and the others."""
    room = MAX_LETTERS_AT_ONCE
    now: list[IndexedMessage] = []
    later: list[IndexedMessage] = []
    for row in rows:
        room -= len(row.content) + STATEMENT_COST
        (now if room >= 0 else later).append(row)
    return now, later


def read_backlog(session: Session, numbers: Sequence[int]) -> dict[int, IndexBacklog]:
    """The backlog rows of these messages, by ``seq``."""
    found: dict[int, IndexBacklog] = {}
    for some in batched(numbers, MAX_PARAMETERS):
        rows = session.scalars(select(IndexBacklog).where(IndexBacklog.seq.in_(some)))
        found |= {job.seq: job for job in rows}
    return found


def _add_to_backlog(
    session: Session,
    found: IndexedConversation,
    rows: Sequence[IndexedMessage],
    indexed: int | None,
) -> None:
    values = [{"seq": row.seq, "indexed": indexed, "title": found.title} for row in rows]
    if values:
        session.execute(insert(IndexBacklog), values)


def batched(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """The numbers in slices of ``size``."""
    return (numbers[at : at + size] for at in range(0, len(numbers), size))


def _indexed_text(title: str, row: IndexedMessage | Row[Any]) -> str:
    return row.content if row.parent_id else f"{row.content}\n{title}"


# ---------------------------------------------------------------- search


def find_matches(
    session: Session, owner: str, query: str, limit: int, before: int | None
) -> list[Match]:
    """A page of conversations, those with the newest match first.

    ``before`` is the ``seq`` of the last match seen. A query without a letter finds nothing.
    """
    wanted = words(query)
    if not wanted:
        return []
    grams = [owner_tag(owner), *required_grams(wanted)]
    with closing(_candidates(session, owner, grams, before=before)) as candidates:
        matches = (
            match
            for match in _newest_matches(candidates, wanted)
            if before is None
            or not _was_on_earlier_page(session, owner, wanted, match.conversation_id, before)
        )
        return list(islice(matches, limit))


def _newest_matches(candidates: Iterable[Row[Any]], wanted: Sequence[str]) -> Iterator[Match]:
    """The newest match of each conversation."""
    listed: set[str] = set()
    for row in candidates:
        if row.conversation_id not in listed and _matches(row, wanted):
            listed.add(row.conversation_id)
            yield Match(row.conversation_id, row.id, row.seq, row.content)


def _matches(row: Row[Any], wanted: Sequence[str]) -> bool:
    return contains_words(_indexed_text(row.title, row), wanted)


def _was_on_earlier_page(
    session: Session, owner: str, wanted: list[str], conversation_id: str, since: int
) -> bool:
    """Whether the conversation has a newer match, and therefore was on an earlier page."""
    grams = [conversation_tag(conversation_id), *required_grams(wanted)]
    with closing(_candidates(session, owner, grams, since=since)) as candidates:
        return any(
            row.conversation_id == conversation_id and _matches(row, wanted) for row in candidates
        )


def _candidates(
    session: Session,
    owner: str,
    grams: Sequence[str],
    before: int | None = None,
    since: int = 0,
) -> Any:
    dialect = dialect_of(session)
    values = {
        "grams": dialect.query_value(grams),
        "before": NEWEST if before is None else before,
        "since": since,
        "owner": owner,
    }
    options = {"yield_per": READ_AHEAD}
    return session.execute(dialect.candidates, values, execution_options=options)
