"""The search index in SQL: an FTS5 table in SQLite, hashes under a GIN index in PostgreSQL.

Adds and removes the grams of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

GramEntry = tuple[int, list[str]]
"""The ``seq`` of a message, and some of its grams."""


@dataclass(frozen=True, slots=True)
class IndexDialect:
    """The statements of one database.

    ``index_value`` and ``query_value`` make their parameter of grams. ``in_pieces``: the grams of a
    message can be added and removed in several transactions.
    """

    add: TextClause
    delete: TextClause
    candidates: TextClause
    merge: TextClause | None
    in_pieces: bool
    index_value: Callable[[Iterable[str]], Any]
    query_value: Callable[[Iterable[str]], Any]


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

SQLITE = IndexDialect(
    add=text("INSERT INTO message_grams(rowid, grams) VALUES (:seq, :grams)"),
    delete=text(
        "INSERT INTO message_grams(message_grams, rowid, grams) VALUES ('delete', :seq, :grams)"
    ),
    candidates=text(_CANDIDATES.format(key="rowid", matches="g.message_grams MATCH :grams")),
    # Makes FTS5 merge its segments in many small steps instead of a few large ones.
    merge=text("INSERT INTO message_grams(message_grams, rank) VALUES ('merge', :pages)"),
    # A table without content stores only pairs of gram and number. FTS5 counts additions and
    # deletions, and both counts must be equal: adding or deleting an empty text only counts.
    in_pieces=True,
    index_value=" ".join,
    query_value=_all_of,
)

POSTGRESQL = IndexDialect(
    add=text("INSERT INTO message_grams(seq, grams) VALUES (:seq, :grams)"),
    delete=text("DELETE FROM message_grams WHERE seq = :seq"),
    candidates=text(_CANDIDATES.format(key="seq", matches="g.grams @> CAST(:grams AS integer[])")),
    merge=None,
    in_pieces=False,
    index_value=_hashes,
    query_value=_hashes,
)


def dialect_of(session: Session) -> IndexDialect:
    """The statements for the database of a session."""
    return SQLITE if session.get_bind().dialect.name == "sqlite" else POSTGRESQL


def add_grams(
    session: Session, entries: Sequence[GramEntry], begun: Collection[int] = (), pages: int = 4
) -> None:
    """Add grams of messages to the index; it has some of the messages in ``begun`` already."""
    dialect = dialect_of(session)
    _execute(session, dialect.add, entries)
    if dialect.in_pieces:
        _execute(session, dialect.delete, [(seq, []) for seq in begun])
    _merge_segments(session, pages)


def remove_grams(
    session: Session, entries: Sequence[GramEntry], staying: Collection[int] = (), pages: int = 4
) -> None:
    """Remove grams from the index; other grams of the messages in ``staying`` remain."""
    dialect = dialect_of(session)
    if dialect.in_pieces:
        _execute(session, dialect.add, [(seq, []) for seq in staying])
        entries = [entry for entry in entries if entry[1]]
    _execute(session, dialect.delete, entries)
    _merge_segments(session, pages)


def _execute(session: Session, statement: TextClause, entries: Sequence[GramEntry]) -> None:
    indexed = dialect_of(session).index_value
    values = [{"seq": seq, "grams": indexed(found)} for seq, found in entries]
    if values:
        # Not through the session: its overhead would double the time, and these are no objects.
        session.connection().execute(statement, values)


def _merge_segments(session: Session, pages: int) -> None:
    if (upkeep := dialect_of(session).merge) is not None:
        session.connection().execute(upkeep, {"pages": pages})
