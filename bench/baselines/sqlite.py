"""Baseline of the store: the same work in SQL written by hand, on one bare connection.

What is indexed and which candidate counts are the server's own functions: the work would not be
the same without them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from app.conversations.store.ngrams import (
    contains_words,
    conversation_tag,
    owner_tag,
    required_grams,
    text_grams,
    words,
)

PRAGMAS = """
    PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;
    PRAGMA wal_autocheckpoint=250;
"""
BEFORE_ALL = (2**62, "")

HEADS = """
    SELECT id, title, created_at, updated_at, active_leaf_id,
    json_extract(setup, '$.model'), json_extract(setup, '$.template.name')
    FROM conversations WHERE {which}
"""
NEWEST = HEADS.format(
    which="owner = ? AND (updated_at, id) < (?, ?) ORDER BY updated_at DESC, id DESC LIMIT ?"
)
CONVERSATION = "SELECT * FROM conversations WHERE id = ? AND owner = ?"
BRANCH = """
    WITH RECURSIVE way(id, parent_id, depth) AS (
        SELECT id, parent_id, 0 FROM messages WHERE conversation_id = :conversation AND id = :leaf
        UNION ALL
        SELECT m.id, m.parent_id, way.depth + 1 FROM messages m, way
        WHERE m.conversation_id = :conversation AND m.id = way.parent_id
    )
    SELECT {columns} FROM messages m JOIN way ON m.id = way.id
    WHERE m.conversation_id = :conversation ORDER BY way.depth DESC
"""
WHOLE = BRANCH.format(
    columns="m.seq, m.id, m.parent_id, m.role, m.status, m.content, m.model, m.finish_reason, "
    "m.usage, m.context, m.error, m.created_at, m.finished_at"
)
SAID = BRANCH.format(columns="m.id, m.role, coalesce(m.prompt, m.content)")
CANDIDATES = """
    SELECT m.seq, m.id, m.conversation_id, m.content, m.parent_id, c.title
    FROM message_grams g
    JOIN messages m ON m.seq = g.rowid
    JOIN conversations c ON c.id = m.conversation_id
    WHERE g.message_grams MATCH ? AND c.owner = ? ORDER BY g.rowid DESC
"""
RUNNING = "SELECT 1 FROM messages WHERE conversation_id = ? AND status = 'generating'"
MESSAGE = """
    INSERT INTO messages
    (id, conversation_id, parent_id, role, status, content, model,
     created_at, lease_until, stopping)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
"""
POINT = "UPDATE conversations SET active_leaf_id = ?, updated_at = ? WHERE id = ?"
TOUCH = "UPDATE conversations SET updated_at = ? WHERE id = ?"
ANSWER = """
    UPDATE messages SET status = 'complete', content = ?, finish_reason = 'stop', usage = ?,
    context = ?, finished_at = ?, lease_until = NULL WHERE conversation_id = ? AND id = ?
    RETURNING seq
"""
INDEX = "INSERT INTO message_grams(rowid, grams) VALUES (?, ?)"
MERGE = "INSERT INTO message_grams(message_grams, rank) VALUES ('merge', 4)"

Turn = tuple[str, str]
"""The ids of a conversation and of an answer that is being made there."""


class RawStore:
    """One owner's conversations in a file."""

    def __init__(self, path: Path, owner: str) -> None:
        self._owner = owner
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(PRAGMAS)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def newest(self, limit: int, before: tuple[int, str] | None) -> list[Any]:
        """A page of the list of conversations."""
        return self._all(NEWEST, (self._owner, *(before or BEFORE_ALL), limit))

    def opened(self, conversation_id: str) -> list[Any]:
        """All messages of the active branch."""
        (found,) = self._all(CONVERSATION, (conversation_id, self._owner))
        return self._all(WHOLE, {"conversation": conversation_id, "leaf": found[4]})

    def found(self, query: str, limit: int) -> list[Any]:
        """A page of what a search finds."""
        wanted, listed = words(query), dict[str, int]()
        grams = " AND ".join(
            f'"{one}"' for one in [owner_tag(self._owner), *required_grams(wanted)]
        )
        candidates = self._connection.execute(CANDIDATES, (grams, self._owner))
        for seq, _, conversation_id, content, parent_id, title in candidates:
            text = content if parent_id else f"{title}\n{content}"
            if conversation_id not in listed and contains_words(text, wanted):
                listed[conversation_id] = seq
            if len(listed) == limit:
                break
        candidates.close()
        statement = HEADS.format(which=f"id IN ({', '.join('?' * len(listed))})")
        return self._all(statement, tuple(listed))

    def asked(self, conversation_id: str, question: str) -> Turn:
        """Store a question and an empty answer; read all messages before it."""
        moment, asked, answer = _now(), str(uuid4()), str(uuid4())
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            (found,) = self._all(CONVERSATION, (conversation_id, self._owner))
            self._all(RUNNING, (conversation_id,))
            row = (asked, conversation_id, found[4], "user", "complete", question, None, moment)
            self._index(self._insert((*row, None)), conversation_id, question)
            opened = (answer, conversation_id, asked, "assistant", "generating", "", "echo", moment)
            self._insert((*opened, moment + 15_000))
            self._connection.execute(POINT, (answer, moment, conversation_id))
            self._all(SAID, {"conversation": conversation_id, "leaf": asked})
        return conversation_id, answer

    def answered(self, turn: Turn, answer: str, usage: object, context: object) -> None:
        """Store the text of the answer."""
        conversation_id, answer_id = turn
        moment = _now()
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._all(CONVERSATION, (conversation_id, self._owner))
            row = (answer, json.dumps(usage), json.dumps(context), moment)
            ((seq,),) = self._all(ANSWER, (*row, conversation_id, answer_id))
            self._index(seq, conversation_id, answer)
            self._connection.execute(TOUCH, (moment, conversation_id))

    def _all(self, statement: str, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def _insert(self, row: Sequence[Any]) -> int:
        return self._connection.execute(MESSAGE, row).lastrowid or 0

    def _index(self, seq: int, conversation_id: str, text: str) -> None:
        tags = owner_tag(self._owner), conversation_tag(conversation_id)
        self._connection.execute(INDEX, (seq, " ".join(text_grams(text, *tags))))
        self._connection.execute(MERGE)


def _now() -> int:
    return time.time_ns() // 1_000_000
