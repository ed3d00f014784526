"""The stores that are measured hold what the server would have stored, and all do the same work."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from app.conversations.store import conversations, listing
from app.storage.database import Database
from app.web.auth import LOCAL
from bench.baselines.sqlite import RawStore
from bench.contestants.client import Client
from bench.contestants.servers import STORED, available
from bench.inputs import population
from bench.inputs.texts import QUERIES, SCATTERED, texts
from tests.store import audit

pytestmark = pytest.mark.slow

MESSAGES = 1000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "filled.db"
    population.fill(path, MESSAGES)
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "store.db"))


@pytest.fixture
def database(store: Path) -> Iterator[Database]:
    with closing(Database(population.url(store))) as opened:
        yield opened


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as file:
        return [name for (name,) in file.execute("SELECT id FROM conversations")]


def test_a_filled_store_is_sound_and_has_so_many_messages(filled: Path) -> None:
    url = population.url(filled)
    audit.require_sound(url)
    assert len(audit.messages(url)) == MESSAGES
    for name in names(filled):
        assert len(audit.require_straight(url, name)) == 2 * population.TURNS


def test_the_messages_of_a_conversation_lie_scattered(filled: Path) -> None:
    rows = audit.messages(population.url(filled))
    changes = sum(one.conversation_id != after.conversation_id for one, after in pairwise(rows))
    assert changes > MESSAGES // 3


def test_the_same_number_makes_the_same_rows(filled: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.db"
    population.fill(again, MESSAGES)
    assert _rows(again) == _rows(filled)


def _rows(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as file:
        stored = file.execute("SELECT * FROM conversations ORDER BY id").fetchall()
        return [*stored, *file.execute("SELECT * FROM messages ORDER BY seq").fetchall()]


def test_ensure_fills_once_and_removes_what_is_out_of_date(tmp_path: Path) -> None:
    old = tmp_path / "store-50-00000000.db"
    old.touch()
    path = population.ensure(tmp_path, 50)
    made = path.stat().st_mtime_ns
    assert population.ensure(tmp_path, 50).stat().st_mtime_ns == made
    assert list(tmp_path.iterdir()) == [path]


def test_bare_sql_lists_and_opens_the_same(store: Path, database: Database) -> None:
    with closing(RawStore(store, LOCAL)) as raw:
        mine = database.transact(
            lambda session: listing.list_conversations(session, LOCAL, 7, None), False
        )
        assert [row[0] for row in raw.newest(7, None)] == [head.id for head in mine]
        last = (mine[-1].updated_at, mine[-1].id)
        after = database.transact(
            lambda session: listing.list_conversations(session, LOCAL, 7, last), False
        )
        assert [row[0] for row in raw.newest(7, last)] == [head.id for head in after]
        for name in names(store):
            branch = partial(
                conversations.branch, owner=LOCAL, conversation_id=name, limit=None, leaf_id=None
            )
            _, messages = database.transact(branch, False)
            assert [row[1] for row in raw.opened(name)] == [row.id for row in messages]


def test_bare_sql_finds_the_same(store: Path, database: Database) -> None:
    found = set()
    with closing(RawStore(store, LOCAL)) as raw:
        for query in [*(one for kind in QUERIES.values() for one in kind), *SCATTERED]:
            find = partial(
                listing.search_conversations, owner=LOCAL, query=query, limit=5, before=None
            )
            mine = {hit.head.id for hit in database.transact(find, False)}
            assert {row[0] for row in raw.found(query, 5)} == mine, query
            found |= {query} if mine else set()
    assert not found & {*QUERIES["no hit"], *SCATTERED}
    assert found >= {*QUERIES["rare word"], *QUERIES["common word"], "ai", "서울"}


def test_what_bare_sql_appends_is_what_the_server_would_store(store: Path) -> None:
    name = names(store)[0]
    with closing(RawStore(store, LOCAL)) as raw:
        turn = raw.asked(name, "Where is it?")
        raw.answered(turn, "Here.", population.ANSWERED["usage"], population.ANSWERED["context"])
    audit.require_sound(population.url(store))
    *_, question, answer = audit.require_straight(population.url(store), name)
    assert (question.content, answer.content) == ("Where is it?", "Here.")


def test_a_smaller_number_of_texts_is_no_other_kind_of_text() -> None:
    sizes = [len(text) for text in texts(2000)]
    assert 150 < sum(sizes) / len(sizes) < 200


def test_a_client_goes_on_with_a_conversation_that_the_server_keeps(echo: httpx.Client) -> None:
    port = echo.base_url.port
    assert port
    client = Client(port, available()[STORED].dialect)
    first = asyncio.run(client.ask([{"role": "user", "content": "one"}], 8))
    second = asyncio.run(
        client.ask([{"role": "user", "content": "two"}], 8, conversation=first.conversation)
    )
    assert second.conversation == first.conversation
    kept = echo.get(f"/api/v4/conversations/{first.conversation}").json()
    assert [one["content"] for one in kept["messages"]] == ["one", "one", "two", "two"]
