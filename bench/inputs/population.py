"""Databases full of conversations, with the rows that the server itself would have written.

Many conversations go on at the same time, so that the messages of one lie scattered over the file.
The same number of messages always makes the same database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID
from zlib import crc32

from sqlalchemy import Connection, insert

from app.conversations.store.conversations import title_from_question
from app.conversations.store.index_dialects import SQLITE
from app.conversations.store.ngrams import conversation_tag, owner_tag, text_grams
from app.conversations.turn_end import Context
from app.provider.types import Usage
from app.storage import migrate
from app.storage.database import open_engine, parse_url
from app.storage.tables import Conversation, Message
from app.web.auth import LOCAL
from bench.contestants.process import ROOT
from bench.inputs.texts import texts

TURNS = 25
"""Questions of one conversation, each with its answer."""

GOING = 1000
"""Conversations that go on at the same time."""

FIRST = 1_700_000_000_000
PACE = 60_000
"""The time of the first message, and milliseconds from one question to the next of anybody."""

ANSWER = 2_000
"""Milliseconds that an answer takes."""

BATCH = 100
"""Messages of one transaction."""

SEGMENTS, ALL = 8, 1_000_000
"""How many segments of the index the server merges into one of the next level, and all the work.

Four small ones at a time leave large segments on the level where years of messages would have them;
on a low level the next few messages would have to be merged with all that there is.
"""

Row = dict[str, Any]

SETUP: Row = {"model": None, "template": None, "variables": {}, "system": None}

ANSWERED: Row = {
    "model": "echo",
    "finish_reason": "stop",
    "usage": Usage(100, 50, 0).as_dict(),
    "context": asdict(Context(100, 8192)),
}
"""What answers have and questions have not."""


@dataclass
class _Talk:
    """A conversation, as far as it has gone."""

    id: str = ""
    title: str = ""
    begun: int = 0
    used: int = 0
    leaf: str | None = None
    turns: int = 0


Batch = list[tuple[_Talk, Row]]


def url(path: Path) -> str:
    """The file as DATABASE_URL names it."""
    return f"sqlite:///{path}"


def ensure(folder: Path, messages: int) -> Path:
    """The database with so many messages, filled where the folder has none by today's code."""
    path = folder / f"store-{messages}-{_key():08x}.db"
    if not path.exists():
        for old in folder.glob(f"store-{messages}-*"):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        fill(unfinished, messages)
        unfinished.rename(path)
    return path


def _key() -> int:
    """Changes with everything that decides what is in the file."""
    here, index = Path(__file__), ROOT / "app" / "conversations" / "store" / "ngrams.py"
    sources = [here, here.with_name("texts.py"), index, *(ROOT / "migrations").rglob("*.py")]
    return crc32(b"".join(path.read_bytes() for path in sorted(sources)))


def fill(path: Path, messages: int) -> None:
    """Make a database of conversations of 50 messages, so many in all, of one owner."""
    migrate.prepare(url(path))
    engine = open_engine(parse_url(url(path)))
    with engine.connect().execution_options(writes=True) as connection:
        # Nothing has to survive here but the whole.
        for pragma in ("synchronous=OFF", "foreign_keys=OFF", "cache_size=-500000"):
            connection.connection.cursor().execute(f"PRAGMA {pragma}")
        _configure(connection, "usermerge", SEGMENTS // 2)
        _fill(connection, messages)
        _configure(connection, "usermerge", SEGMENTS)
    engine.dispose()  # ends the write-ahead log as well
    os.sync()


def _configure(connection: Connection, what: str, value: int) -> None:
    """Set an option of the index, or have it do something."""
    statement = "INSERT INTO message_grams(message_grams, rank) VALUES (?, ?)"
    connection.exec_driver_sql(statement, (what, value))
    connection.commit()


def _fill(connection: Connection, messages: int) -> None:
    talks: dict[str, _Talk] = {}
    for batch, grams in _batches(messages):
        rows = [row for _, row in batch]
        pairs = zip(rows, grams, strict=True)
        indexed = [{"seq": row["seq"], "grams": found} for row, found in pairs]
        connection.execute(insert(Message), rows)
        connection.execute(SQLITE.add, indexed)
        _configure(connection, "merge", ALL)
        talks |= {talk.id: talk for talk, _ in batch}
    connection.execute(insert(Conversation), [_conversation(talk) for talk in talks.values()])


def _batches(messages: int) -> Iterator[tuple[Batch, list[Any]]]:
    """Messages with their grams, which another process cuts while earlier ones are stored."""
    spoken, before = _spoken(messages), None
    with ProcessPoolExecutor(1, get_context("spawn")) as helper:
        while batch := list(islice(spoken, BATCH)):
            coming = batch, helper.submit(_grams, [_indexed(*one) for one in batch])
            if before:
                yield before[0], before[1].result()
            before = coming
        if before:
            yield before[0], before[1].result()


def _spoken(messages: int) -> Iterator[tuple[_Talk, Row]]:
    """All messages with their conversations, in the order of time."""
    random, contents, moment = Random(messages), texts(messages), FIRST
    for turn, talk in enumerate(_order(random, messages // (2 * TURNS))):
        moment += random.randrange(2 * PACE)
        question, answer = next(contents), next(contents)
        if talk.leaf is None:
            talk.id, talk.begun, talk.title = (
                _id(random, moment),
                moment,
                title_from_question(question),
            )
        talk.used = moment + ANSWER
        seq = 2 * turn + 1
        yield talk, _row(random, talk, "user", question, moment) | {"seq": seq}
        answered = ANSWERED | {"seq": seq + 1, "finished_at": talk.used}
        yield talk, _row(random, talk, "assistant", answer, moment) | answered


def _order(random: Random, conversations: int) -> Iterator[_Talk]:
    """Whose turn it is."""
    going: list[_Talk] = []
    begun = 0
    for _ in range(conversations * TURNS):
        while len(going) < GOING and begun < conversations:
            going.append(_Talk())
            begun += 1
        place = random.randrange(len(going))
        talk = going[place]
        yield talk
        talk.turns += 1
        if talk.turns == TURNS:
            going[place] = going[-1]
            going.pop()


def _row(random: Random, talk: _Talk, role: str, content: str, moment: int) -> Row:
    """A message that follows the last one of its conversation."""
    parent, talk.leaf = talk.leaf, _id(random, moment)
    return {
        "id": talk.leaf,
        "conversation_id": talk.id,
        "parent_id": parent,
        "role": role,
        "status": "complete",
        "content": content,
        "model": None,
        "finish_reason": None,
        "usage": None,
        "context": None,
        "created_at": moment,
        "finished_at": None,
        "stopping": False,
    }


def _indexed(talk: _Talk, row: Row) -> tuple[str, str]:
    """What of a message can be found, and its conversation."""
    content = row["content"] if row["parent_id"] else f"{talk.title}\n{row['content']}"
    return content, talk.id


def _grams(rows: list[tuple[str, str]]) -> list[Any]:
    owner = owner_tag(LOCAL)
    documents = (text_grams(text, owner, conversation_tag(name)) for text, name in rows)
    return [SQLITE.index_value(one) for one in documents]


def _conversation(talk: _Talk) -> Row:
    return {
        "id": talk.id,
        "owner": LOCAL,
        "title": talk.title,
        "setup": SETUP,
        "active_leaf_id": talk.leaf,
        "created_at": talk.begun,
        "updated_at": talk.used,
    }


def _id(random: Random, moment: int) -> str:
    """A UUID of version 7, as the server gives them."""
    number = moment << 80 | 7 << 76 | random.getrandbits(12) << 64
    return str(UUID(int=number | 2 << 62 | random.getrandbits(62)))
