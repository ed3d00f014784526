"""The start of a server on every kind of database it may find."""

from __future__ import annotations

import stat
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from app.conversations.store import conversations, tree
from app.storage.database import Database, DatabaseRefused, Table
from app.storage.migrate import ADVISORY_LOCK_KEY, HEAD, prepare
from app.storage.schema import COLUMNS, FIRST_TABLES, SEARCH_INDEX
from app.storage.tables import Conversation, Message
from tests.selection import matrix, on_sqlite_daily
from tests.store.databases import (
    REVISIONS,
    SCRIPTS,
    connected,
    contents,
    copies,
    execute,
    file_of,
    make,
    process,
)
from tests.store.population import ROWS

pytestmark = pytest.mark.slow


def from_each(revisions: Sequence[str]) -> pytest.MarkDecorator:
    """From each of them on SQLite; on PostgreSQL daily from the oldest one."""
    oldest, *others = revisions
    pairs = [*(("sqlite", one) for one in revisions), ("postgresql", oldest)]
    rest = matrix(*(("postgresql", one) for one in others))
    names = ("database_url", "revision")
    return pytest.mark.parametrize(names, [*pairs, *rest], indirect=["database_url"])


def populated(url: str, revision: str) -> None:
    make(url, revision)
    for earlier in REVISIONS[: REVISIONS.index(revision) + 1]:
        execute(url, *ROWS[earlier])


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


def test_every_revision_has_rows_to_be_tested_with() -> None:
    missing = set(REVISIONS) - set(ROWS)
    assert not missing, f"write rows as {missing} holds them into tests/store/population.py"


def test_the_newest_revision_is_the_one_the_server_wants() -> None:
    assert SCRIPTS.get_current_head() == HEAD
    assert REVISIONS[-1] == HEAD


def test_the_start_looks_for_the_tables_that_the_mapper_uses() -> None:
    mapped = {table.name: tuple(table.columns.keys()) for table in Table.metadata.sorted_tables}
    assert mapped == COLUMNS
    assert mapped.keys() >= FIRST_TABLES


def test_a_new_database_is_made_and_the_next_start_finds_nothing_to_do(database_url: str) -> None:
    assert prepare(database_url) == f"A new database was made at revision {HEAD}."
    assert prepare(database_url) is None
    if is_sqlite(database_url):
        assert copies(database_url) == []


@from_each(REVISIONS[:-1])
def test_an_upgrade_keeps_every_row(database_url: str, revision: str) -> None:
    populated(database_url, revision)
    before = contents(database_url)
    assert before.pop("alembic_version") == [{"version_num": revision}]
    assert all(before.values()), "every table has rows"

    message = prepare(database_url)

    assert message
    assert message.startswith(f"The database was upgraded from revision {revision} to {HEAD}.")
    after = contents(database_url)
    assert after.pop("alembic_version") == [{"version_num": HEAD}]
    assert {name: after[name] for name in before} == before


@from_each(REVISIONS)
async def test_what_was_stored_long_ago_is_read_as_it_was_meant(
    database_url: str, revision: str
) -> None:
    populated(database_url, revision)
    prepare(database_url)
    database = Database(database_url)
    try:
        found = await database.read(lambda session: session.scalars(_ALL).all())
        messages = await database.read(lambda session: session.scalars(_MESSAGES).all())
    finally:
        database.close()
    assert found[0].title == "A dog named 뭉치"
    assert found[0].setup == {"system": "Be brief.", "sampling": {}}
    assert [message.stopping for message in messages] == [False, True, False, False]
    assert [message.usage for message in messages] == [None, {"prompt_tokens": 7}, None, None]


@from_each(REVISIONS)
async def test_old_messages_are_listed_and_shown_to_models_as_before(
    database_url: str, revision: str
) -> None:
    populated(database_url, revision)
    prepare(database_url)
    database = Database(database_url)
    try:
        _, listed = await database.read(conversations.messages, "key-1", "c1", 10, None)
        shown = await database.read(tree.history, "c1", "m2")
    finally:
        database.close()
    assert [(row.id, row.parent_id) for row in listed] == [
        ("m1", None),
        *[(name, "m1") for name in ("m2", "m3", "m4")],
    ]
    assert [(one.role, one.text) for one in shown] == [
        ("user", "Q: What do I call it?"),
        ("assistant", "뭉"),
    ]
    assert [len(one.parts) for one in shown] == [0, 2 if revision >= "0006" else 0]


_ALL = select(Conversation).order_by(Conversation.id)
_MESSAGES = select(Message).order_by(Message.seq)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_the_copy_is_the_whole_database_of_before(database_url: str, revision: str) -> None:
    populated(database_url, revision)
    file_of(database_url).chmod(0o600)
    before = contents(database_url)
    message = prepare(database_url)
    [copy] = copies(database_url)
    assert message
    assert message.endswith(f"A copy of the old one is {copy}.")
    assert contents(f"sqlite:///{copy}") == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600  # as private as the original
    with connected(f"sqlite:///{copy}") as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_not_in_the_main_file_yet_is_in_the_copy(database_url: str) -> None:
    """A server that was killed leaves its last transactions in the write-ahead log."""
    populated(database_url, REVISIONS[0])
    other = process(_WRITE_AND_DIE, str(file_of(database_url)))
    other.communicate(timeout=60)
    assert other.returncode == -9
    assert b"late" not in file_of(database_url).read_bytes()
    prepare(database_url)
    [copy] = copies(database_url)
    assert contents(f"sqlite:///{copy}")["conversations"][1]["title"] == "late"


_WRITE_AND_DIE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60)
connection.execute("UPDATE conversations SET title = 'late' WHERE id = 'c2'")
connection.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    prepare(f"sqlite:///{file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_newer_database_is_refused(store_url: str) -> None:
    execute(store_url, "UPDATE alembic_version SET version_num = '9999'")
    refused(store_url, "revision 9999, which this version of the server does not know")
    assert contents(store_url)["alembic_version"] == [{"version_num": "9999"}]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("INSERT INTO alembic_version VALUES ('0001')", "carry no single revision"),
        ("DELETE FROM alembic_version", "carry no single revision"),
        ("DROP TABLE alembic_version", "carry no single revision"),
        ("DROP TABLE cuts", "cuts is missing"),
        ("ALTER TABLE messages DROP COLUMN stopping", "messages.stopping is missing"),
    ],
)
def test_a_half_migrated_database_is_refused(store_url: str, damage: str, sentence: str) -> None:
    execute(store_url, damage)
    refused(store_url, sentence)
    refused(store_url, ".bak beside it" if is_sqlite(store_url) else "restore it from a backup")


def test_a_database_without_its_search_index_is_refused(store_url: str) -> None:
    execute(store_url, f"DROP TABLE {SEARCH_INDEX}")
    refused(store_url, f"{SEARCH_INDEX} is missing")


def refused(url: str, sentence: str) -> str:
    with pytest.raises(DatabaseRefused) as caught:
        prepare(url)
    message = str(caught.value)
    assert sentence in message
    assert len(message.splitlines()) == 1
    return message


def test_an_upgrade_that_fails_half_way_leaves_everything_as_it_was(database_url: str) -> None:
    populated(database_url, "0001")
    execute(database_url, "CREATE TABLE cuts (mine INTEGER)")  # 0002 succeeds, then 0003 fails
    before = contents(database_url)
    refused(database_url, f"could not be brought to revision {HEAD} and is as it was")
    refused(database_url, "already exists")
    assert contents(database_url) == before
    if is_sqlite(database_url):
        assert copies(database_url) == []


@on_sqlite_daily
def test_two_processes_upgrade_the_same_database_once(database_url: str) -> None:
    populated(database_url, "0001")
    assert _both_prepare(database_url) == [
        f"The database was upgraded from revision 0001 to {HEAD}.",
        "nothing",
    ]
    if is_sqlite(database_url):
        [copy] = copies(database_url)
        assert contents(f"sqlite:///{copy}")["alembic_version"] == [{"version_num": "0001"}]


@on_sqlite_daily
def test_two_processes_make_the_same_database_once(database_url: str) -> None:
    assert _both_prepare(database_url) == [
        f"A new database was made at revision {HEAD}.",
        "nothing",
    ]


def _both_prepare(url: str) -> list[str]:
    """Let two processes meet: both have looked before either may begin."""
    with ExitStack() as stack:
        both = [stack.enter_context(process(_PREPARE, url)) for _ in range(2)]
        for one in both:
            assert one.stdout
            assert one.stdout.readline() == "ready\n"
        with connected(url) as held:
            if not is_sqlite(url):
                held.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK_KEY})")
            for one in both:
                assert one.stdin
                one.stdin.write("go\n")
                one.stdin.flush()
            time.sleep(0.5)
        outputs = [one.communicate(timeout=60)[0].strip() for one in both]
    return sorted(line.partition(" A copy")[0] for line in outputs)


_PREPARE = """
import sys
import alembic.command
from app.storage.migrate import prepare
print("ready", flush=True)
input()
print(prepare(sys.argv[1]) or "nothing")
"""
