"""What the tables say, read without the server, and what they must say after any accident."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from app.conversations.background_work import BackgroundWork
from app.conversations.store.index_dialects import POSTGRESQL
from app.conversations.store.ngrams import conversation_tag, owner_tag, text_grams
from app.storage.database import Database, Table, open_engine, parse_url
from app.storage.tables import Conversation, Message, Truncation
from tests.store.databases import connected

FINAL = {"complete", "stopped", "failed"}


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A connection of its own, which locks nothing."""
    engine = open_engine(parse_url(url))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def conversations(url: str) -> list[Conversation]:
    with reading(url) as connection:
        return list(Session(connection).scalars(select(Conversation).order_by(Conversation.id)))


def messages(url: str, conversation_id: str | None = None) -> list[Message]:
    """All of them, or those of one conversation, in the order of storing."""
    wanted = select(Message).order_by(Message.seq)
    if conversation_id:
        wanted = wanted.where(Message.conversation_id == conversation_id)
    with reading(url) as connection:
        return list(Session(connection).scalars(wanted))


def cuts(url: str) -> list[Truncation]:
    with reading(url) as connection:
        return list(Session(connection).scalars(select(Truncation).order_by(Truncation.seq)))


def unlisted(url: str) -> set[str]:
    """Ids of tool calls, tool results and developer messages."""
    return {row["message_id"] for row in table(url, "message_extras") if not row["listed"]}


def answers(url: str, status: str | None = None) -> list[Message]:
    """The stored answers, or those of one status."""
    found = [row for row in messages(url) if row.role == "assistant"]
    return [row for row in found if status in {None, row.status}]


def branch(url: str, conversation_id: str) -> list[Message]:
    """The active branch, from its first question to its leaf."""
    rows = {row.id: row for row in messages(url, conversation_id)}
    (found,) = [one for one in conversations(url) if one.id == conversation_id]
    way, at = [], found.active_leaf_id
    while at is not None:
        way.append(rows[at])
        at = rows[at].parent_id
    return way[::-1]


def require_straight(url: str, conversation_id: str) -> list[Message]:
    """All messages of the conversation are one branch: question, answer, question …"""
    way = branch(url, conversation_id)
    assert [row.seq for row in way] == [row.seq for row in messages(url, conversation_id)]
    assert [row.role for row in way] == ["user", "assistant"] * (len(way) // 2)
    return way


def finish_work(url: str) -> None:
    """Do what was put off, together with the servers that run, until there is nothing left."""
    with ThreadPoolExecutor(1) as thread:  # the caller's may have an event loop
        thread.submit(asyncio.run, _finish(url)).result()


async def _finish(url: str) -> None:
    with closing(Database(url)) as database:
        async with asyncio.timeout(120):
            while any(table(url, name) for name in ("index_backlog", "removals")):
                await BackgroundWork(database).finish()
                await asyncio.sleep(0.05)


def require_sound(url: str) -> None:
    """Nobody is answering, every tree hangs together, and the index holds what is stored."""
    finish_work(url)
    found, rows = conversations(url), messages(url)
    assert {row.status for row in rows} <= FINAL
    places = {row.id: row.conversation_id for row in rows}
    assert len(places) == len(rows), "two messages have one id"
    hidden = unlisted(url)
    for row in rows:
        assert row.parent_id is None or places[row.parent_id] == row.conversation_id
        assert row.parent_id not in hidden, "a parent is always listed"
    for one in found:
        assert one.active_leaf_id is None or places[one.active_leaf_id] == one.id
        assert one.active_leaf_id not in hidden, "a branch ends with a listed message"
    for extra in table(url, "message_extras"):
        before = extra["previous_id"]
        assert before is None or (before in hidden and places[before] == extra["conversation_id"])
    rows = [row for row in rows if row.id not in hidden]
    answered = Counter(row.parent_id for row in rows if row.role == "assistant")
    assert all(answered[row.id] == 1 for row in rows if row.role == "user")
    require_indexed(url)
    require_used(url)


def require_used(url: str) -> None:
    """Every picture is used, and every use has its picture."""
    used = {row["sha256"] for row in table(url, "message_images")}
    assert {row["sha256"] for row in table(url, "images")} == used


def table(url: str, name: str) -> list[dict[str, Any]]:
    """All rows of a table, by the names of its columns."""
    with reading(url) as connection:
        found = connection.execute(Table.metadata.tables[name].select()).mappings()
        return [dict(row) for row in found]


def require_indexed(url: str) -> None:
    """The search index holds exactly the listed messages, as they are stored."""
    finish_work(url)
    by_id = {one.id: one for one in conversations(url)}
    hidden, indexed = unlisted(url), _indexed(url)
    rows = [row for row in messages(url) if row.id not in hidden]
    assert indexed.keys() == {row.seq for row in rows}
    for row in rows:
        assert indexed[row.seq] == _expected(url, by_id[row.conversation_id], row), row.content


def _expected(url: str, found: Conversation, row: Message) -> set[Any]:
    text = row.content if row.parent_id else f"{found.title}\n{row.content}"
    grams = text_grams(text, owner_tag(found.owner), conversation_tag(found.id))
    return set(grams) if url.startswith("sqlite") else set(POSTGRESQL.index_value(grams))


def _indexed(url: str) -> dict[int, set[Any]]:
    """The grams of every message in the search index; checks the file as well."""
    if url.startswith("sqlite"):
        _require_whole(url)
    with reading(url) as connection:
        if connection.dialect.name == "postgresql":
            rows = connection.execute(text("SELECT seq, grams FROM message_grams"))
            return {seq: set(grams) for seq, grams in rows}
        averages = text("SELECT block FROM message_grams_data WHERE id = 1")
        counted = _varint(connection.scalar(averages))
        assert counted == connection.scalar(_HOW_MANY_LISTED)
        connection.execute(
            text("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, message_grams, instance)")
        )
        indexed: dict[int, set[Any]] = {}
        for seq, term in connection.execute(text("SELECT doc, term FROM temp.terms")):
            indexed.setdefault(seq, set()).add(term)
        return indexed


_HOW_MANY_LISTED = text(
    "SELECT count(*) - (SELECT count(*) FROM message_extras WHERE NOT listed) FROM messages"
)


def _varint(block: bytes) -> int:
    """The first number of a record of FTS5: how many texts it believes to hold."""
    number = 0
    for byte in block:
        number = number << 7 | byte & 127
        if byte < 128:
            break
    return number


def _require_whole(url: str) -> None:
    with connected(
        url
    ) as connection:  # to write, or a server that writes meanwhile would forbid it
        for pragma in ("integrity_check", "foreign_key_check"):
            found = connection.execute(text(f"PRAGMA {pragma}")).all()
            assert found in ([], [("ok",)])
        check = "INSERT INTO message_grams(message_grams) VALUES ('integrity-check')"
        connection.execute(text(check))
