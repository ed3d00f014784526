"""Full-text search: conversations with a message that holds every word of a query.

An index of grams (see there) gives candidates, the newest first; the text itself decides. SQLite
keeps the grams in an FTS5 table without content, PostgreSQL their hashes in an array under a GIN
index. A tag of the owner is one more gram, so that a search costs what its owner has stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sqlalchemy import Row, TextClause, select, text
from sqlalchemy.orm import Session

from app.v4.store.grams import (
    conversation_tag,
    document,
    holds,
    owner_tag,
    required,
    words,
)
from app.v4.tables import Conversation, Message

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


@dataclass(frozen=True, slots=True)
class Dialect:
    """The statements of one database, and how grams are handed to them."""

    add: TextClause
    drop: TextClause
    candidates: TextClause
    upkeep: TextClause | None
    indexed: Callable[[Iterable[str]], Any]
    sought: Callable[[Iterable[str]], Any]


def _hashes(grams: Iterable[str]) -> list[int]:
    return [crc32(gram.encode()) - 2**31 for gram in grams]


def _all_of(grams: Iterable[str]) -> str:
    return " AND ".join(f'"{gram}"' for gram in grams)


# The grams of a conversation's title are indexed with its first questions.
_CANDIDATES = """
    SELECT m.seq, m.id, m.conversation_id, m.content, m.parent_id, c.title
    FROM message_grams g
    JOIN messages m ON m.seq = g.{key}
    JOIN conversations c ON c.id = m.conversation_id
    WHERE {matches} AND g.{key} < :before AND g.{key} >= :since AND c.owner = :owner
    ORDER BY g.{key} DESC
"""

SQLITE = Dialect(
    add=text("INSERT INTO message_grams(rowid, grams) VALUES (:seq, :grams)"),
    drop=text(
        "INSERT INTO message_grams(message_grams, rowid, grams) VALUES ('delete', :seq, :grams)"
    ),
    candidates=text(_CANDIDATES.format(key="rowid", matches="g.message_grams MATCH :grams")),
    # FTS5 merges its segments in small steps here instead of in large ones now and then.
    upkeep=text("INSERT INTO message_grams(message_grams, rank) VALUES ('merge', 4)"),
    indexed=" ".join,
    sought=_all_of,
)

POSTGRESQL = Dialect(
    add=text("INSERT INTO message_grams(seq, grams) VALUES (:seq, :grams)"),
    drop=text("DELETE FROM message_grams WHERE seq = :seq"),
    candidates=text(_CANDIDATES.format(key="seq", matches="g.grams @> CAST(:grams AS integer[])")),
    upkeep=None,
    indexed=_hashes,
    sought=_hashes,
)


def _dialect(session: Session) -> Dialect:
    return SQLITE if session.get_bind().dialect.name == "sqlite" else POSTGRESQL


# ---------------------------------------------------------------- upkeep


def add(session: Session, found: Conversation, rows: Sequence[Message]) -> None:
    """Index messages that are stored and have their final text."""
    dialect = _dialect(session)
    _write(session, dialect.add, found, rows)
    if dialect.upkeep is not None:
        session.connection().execute(dialect.upkeep)


def drop(session: Session, found: Conversation, rows: Sequence[Message]) -> None:
    """Take messages out again; title and texts must be those that were indexed."""
    _write(session, _dialect(session).drop, found, rows)


def forget(session: Session, found: Conversation) -> None:
    """Take out a whole conversation."""
    indexed = select(Message).where(
        Message.conversation_id == found.id, Message.status != "generating"
    )
    drop(session, found, session.scalars(indexed).all())


def _write(
    session: Session, statement: TextClause, found: Conversation, rows: Sequence[Message]
) -> None:
    if not rows:
        return
    indexed, tags = _dialect(session).indexed, (owner_tag(found.owner), conversation_tag(found.id))
    told = [
        {"seq": row.seq, "grams": indexed(document(_text(found.title, row), *tags))} for row in rows
    ]
    # Not through the session, which takes as long as the database does: these are no objects.
    session.connection().execute(statement, told)


def _text(title: str, row: Message | Row[Any]) -> str:
    return row.content if row.parent_id else f"{title}\n{row.content}"


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
    dialect = _dialect(session)
    asked = {
        "grams": dialect.sought(grams),
        "before": NEWEST if before is None else before,
        "since": since,
        "owner": owner,
    }
    options = {"yield_per": READ_AHEAD}
    return session.execute(dialect.candidates, asked, execution_options=options)
