"""Large texts and conversations: nobody waits for them, and the index is right at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.conversations import imports
from app.conversations.store import conversations, index_backlog, removal, search
from app.conversations.store import transfer as store
from app.conversations.store.ngrams import text_grams, words
from app.storage.database import Database
from app.storage.tables import Conversation, Message, Removal
from tests.cpu_time import cpu_seconds, unit
from tests.repeating import repeating
from tests.selection import matrix
from tests.store import audit
from tests.store.servers import server

pytestmark = [pytest.mark.slow, pytest.mark.sql_is_alike]

CHAT, CONVERSATIONS = "/api/v4/chat", "/api/v4/conversations"
OWNER = "tester"
MEANWHILE = 5
"""Turns of another owner, begun and ended while a piece of work goes on, that show it lets them
through. Were it one transaction, there would be none on SQLite."""

LETTERS = 120_000


def hangul(letters: int, seed: int = 1) -> str:
    """The worst text for an index: nearly every three letters of it are new."""
    random = Random(seed)
    return "".join(chr(random.randrange(0xAC00, 0xD7A4)) for _ in range(letters))


# ---------------------------------------------------------------- nobody waits


Turns = list[tuple[float, float]]
"""When each began and ended."""


@contextmanager
def turns_of_another(server: httpx.Client) -> Iterator[Turns]:
    """Somebody else chats all the time."""
    turns: Turns = []

    def chat() -> None:
        begun = time.monotonic()
        assert server.post(CHAT, json={"message": "hi"}).status_code == 200
        turns.append((begun, time.monotonic()))

    with repeating(chat):
        yield turns


def client(address: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=address, headers={"X-API-Key": key}, timeout=60)


def meanwhile(url: str, turns: Turns, work: Callable[[], Any]) -> int:
    """Ask for work that is put off, wait until it is done, and count the turns within that time."""
    first = last = time.monotonic()
    work()
    while audit.table(url, "index_backlog") or audit.table(url, "removals"):
        last = time.monotonic()
        time.sleep(0.01)
    return sum(first <= begun and ended <= last for begun, ended in turns)


@pytest.mark.matrix  # it takes eleven seconds
@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_another_owner_does_not_wait_for_a_long_message(database_url: str, tmp_path: Path) -> None:
    question = hangul(LETTERS)
    with (
        server(database_url, tmp_path, API_KEYS="mine,other") as one,
        client(one.address(), "mine") as mine,
        client(one.address(), "other") as other,
        turns_of_another(other) as turns,
    ):
        answer: dict[str, Any] = {}
        body = {"message": question, "max_tokens": 5}
        indexing = meanwhile(
            database_url, turns, lambda: answer.update(mine.post(CHAT, json=body).json())
        )
        name = answer["conversation_id"]
        place = f"{CONVERSATIONS}/{name}"
        found = mine.get(CONVERSATIONS, params={"query": question[-50:]}).json()
        assert [one["id"] for one in found["conversations"]] == [name]
        title = {"title": "another title"}
        renaming = meanwhile(database_url, turns, lambda: mine.patch(place, json=title))
        assert mine.get(place).json()["title"] == "another title"
        deleting = meanwhile(database_url, turns, lambda: mine.delete(place))
        assert mine.get(place).status_code == 404
    print(f"turns meanwhile: {indexing} {renaming} {deleting}")  # noqa: T201
    assert min(indexing, renaming, deleting) >= MEANWHILE


# ---------------------------------------------------------------- the index at the end


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    with closing(Database(store_url)) as opened:
        yield opened


async def brought(database: Database, *texts: str, title: str = "the title") -> str:
    """A conversation of an import: questions without an answer, all of them first ones."""
    made = Conversation(
        id=f"c{len(texts)}", owner=OWNER, title=title, setup={}, created_at=1, updated_at=1
    )
    rows = [
        Message(
            id=f"m{number}",
            conversation_id=made.id,
            role="user",
            status="complete",
            content=content,
            created_at=1,
            stopping=False,
        )
        for number, content in enumerate(texts)
    ]
    await imports.store_import(database, imports.ImportedConversation(made, rows, {}))
    return made.id


async def index_some(database: Database, pieces: int) -> None:
    """As much of the first work as a server does before it is killed."""
    plans = await database.read(index_backlog.next_plans)
    for plan in plans:
        plan.prepare()
    for _ in range(pieces):
        await database.write(index_backlog.write_piece, plans)


async def remove_some(database: Database, pieces: int) -> None:
    batch = await database.read(removal.next_batch)
    for _ in range(pieces):
        if batch is not None:
            batch = await database.write(removal.delete_batch, batch)


def require_equal(url: str) -> None:
    audit.require_indexed(url)
    assert audit.table(url, "index_backlog") == audit.table(url, "removals") == []


@pytest.mark.parametrize("pieces", [1, *matrix(0, 3)])
async def test_what_was_begun_goes_on_after_a_kill(
    database: Database, store_url: str, pieces: int
) -> None:
    await brought(database, hangul(30_000), "short", hangul(40_000, 2))
    await index_some(database, pieces)
    require_equal(store_url)


@pytest.mark.parametrize("pieces", [1, *matrix(0, 2, 9)])
async def test_a_new_title_while_it_is_being_indexed(
    database: Database, store_url: str, pieces: int
) -> None:
    name = await brought(database, hangul(30_000), *["short"] * 300)
    await index_some(database, pieces)
    for title in ("one more title", "the last title"):
        await database.write(conversations.change, OWNER, name, title, None)
        await index_some(database, 1)
    require_equal(store_url)


async def test_a_new_title_of_what_is_indexed(database: Database, store_url: str) -> None:
    name = await brought(database, hangul(30_000), "title", *["short"] * 300)
    require_equal(store_url)
    for title in ("the other title", "a third one"):
        await database.write(conversations.change, OWNER, name, title, None)
    audit.finish_work(store_url)
    found = await database.read(search.find_matches, OWNER, "third short", 10, None)
    assert [one.conversation_id for one in found] == [name]
    require_equal(store_url)


@pytest.mark.parametrize("pieces", [1, *matrix(0, 2, 9)])
async def test_deleted_while_it_is_being_indexed(
    database: Database, store_url: str, pieces: int
) -> None:
    name = await brought(database, "short", hangul(30_000))
    await index_some(database, pieces)
    await database.delete(conversations.remove, OWNER, name)
    await index_some(database, 1)
    await remove_some(database, pieces)
    require_equal(store_url)
    assert audit.messages(store_url) == []
    assert audit.conversations(store_url) == []


async def test_an_import_that_broke_off_is_not_seen_and_goes_away(
    database: Database, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Session, found: Conversation, rows: Sequence[Message]) -> None:
        if rows[0].id == "m200":
            raise ConnectionAbortedError
        store.add_messages(session, found, rows)

    monkeypatch.setattr(removal, "abandon_import", lambda *_: None)  # killed
    monkeypatch.setattr(imports, "store_import", partial(imports.store_import, add=broken))
    with pytest.raises(ConnectionAbortedError):
        await brought(database, *["short"] * 300)
    assert len(audit.messages(store_url)) == 200
    assert await database.read(search.find_matches, OWNER, "short", 10, None) == []
    await database.write(lambda session: session.execute(update(Removal).values(after=1)))
    require_equal(store_url)
    assert audit.messages(store_url) == []
    assert audit.conversations(store_url) == []


async def test_two_servers_do_it_once(database: Database, store_url: str) -> None:
    gone = await brought(database, *["going away"] * 300)
    await brought(database, hangul(30_000), *["short"] * 250)
    await database.delete(conversations.remove, OWNER, gone)
    with closing(Database(store_url)) as second:
        for _ in range(3):
            await index_some(second, 1)
            await index_some(database, 2)
            await remove_some(second, 1)
            await remove_some(database, 1)
    require_equal(store_url)


# ---------------------------------------------------------------- letters


@pytest.mark.parametrize(
    "hostile",
    ["a" + "\u0316\u0301" * 170_000, "\ufdfa" * 340_000, "\u1161" * 340_000],
    ids=["marks", "ligatures", "vowels"],
)
def test_no_text_takes_the_square_of_its_length(hostile: str) -> None:
    quarter = cpu_seconds(lambda: words(hostile[: len(hostile) // 4]))
    assert cpu_seconds(lambda: words(hostile)) < 8 * quarter + unit()  # 16 would be the square


def test_a_text_of_many_pieces_gives_the_same_grams() -> None:
    phrase = "한국어와 ｶﾞ \u2460\ufb01 e\u0301 ÀÉ \u1112\u1161\u11ab "
    assert set(text_grams(phrase * 2_000)) == set(text_grams(phrase))
