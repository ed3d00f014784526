"""The search index in SQL: an FTS5 table in SQLite, hashes under a GIN index in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Dialect:
    """The statements of one database, and how grams are handed to them.

    ``in_pieces``: the grams of one message can come and go in several transactions.
    """

    add: TextClause
    drop: TextClause
    candidates: TextClause
    upkeep: TextClause | None
    in_pieces: bool
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
    upkeep=text("INSERT INTO message_grams(message_grams, rank) VALUES ('merge', :pages)"),
    # Without content, an entry is no more than its pairs of gram and number. FTS5 counts how often
    # something was added and taken out, which must come out even: an empty text does nothing else.
    in_pieces=True,
    indexed=" ".join,
    sought=_all_of,
)

POSTGRESQL = Dialect(
    add=text("INSERT INTO message_grams(seq, grams) VALUES (:seq, :grams)"),
    drop=text("DELETE FROM message_grams WHERE seq = :seq"),
    candidates=text(_CANDIDATES.format(key="seq", matches="g.grams @> CAST(:grams AS integer[])")),
    upkeep=None,
    in_pieces=False,
    indexed=_hashes,
    sought=_hashes,
)


def dialect_of(session: Session) -> Dialect:
    """The statements for the database of a session."""
    return SQLITE if session.get_bind().dialect.name == "sqlite" else POSTGRESQL
