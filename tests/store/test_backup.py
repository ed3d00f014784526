"""Copies of the database and the way back, without a server."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from app.storage import postgres_dump
from app.storage.backup import back_up
from app.storage.database import DatabaseRefused, open_engine, parse_url
from app.storage.migrate import HEAD, prepare
from app.storage.process_lock import ProcessLock
from app.storage.restore import restore
from tests.selection import on_sqlite_daily
from tests.store.databases import REVISIONS, contents, execute, file_of, make, process
from tests.store.population import ROWS

pytestmark = pytest.mark.slow

needs_programs = pytest.mark.skipif(
    not all(map(shutil.which, ("pg_dump", "pg_restore", "psql"))),
    reason="PostgreSQL's pg_dump, pg_restore and psql are not on PATH",
)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
RETITLE = "UPDATE conversations SET title = 'overnight' WHERE id = 'c2'"


def populated(url: str, revision: str = HEAD) -> None:
    make(url, revision)
    for earlier in REVISIONS[: REVISIONS.index(revision) + 1]:
        execute(url, *ROWS[earlier])


def kept_aside(message: str) -> Path:
    """Where ``restore`` says that it has put the database of before."""
    return Path(message.rpartition(" is ")[2].removesuffix("."))


@on_sqlite_daily
@needs_programs
def test_what_was_backed_up_comes_back_and_what_it_replaces_is_kept(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    populated(database_url)
    before = contents(database_url)
    copy = back_up(database_url)
    assert copy.suffix == ".bak"
    execute(database_url, RETITLE)
    late = contents(database_url)

    message = restore(database_url, copy)

    assert contents(database_url) == before != late
    aside = kept_aside(message)
    restore(database_url, aside)
    assert contents(database_url) == late
    assert not list(copy.parent.glob("*.part"))


@on_sqlite_daily
@needs_programs
def test_a_backup_of_an_older_version_replaces_the_tables_of_a_newer_one(
    database_url: str, tmp_path: Path
) -> None:
    """Otherwise the next upgrade would find tables that it wants to make."""
    populated(database_url, "0004")
    before = contents(database_url)
    copy = back_up(database_url, tmp_path / "copy")
    prepare(database_url)
    execute(
        database_url,
        "CREATE TABLE later (id TEXT PRIMARY KEY)",
        "UPDATE alembic_version SET version_num = '9999'",
    )
    assert f"at revision 0004; the next start upgrades it to {HEAD}" in restore(database_url, copy)
    assert contents(database_url) == before
    assert "upgraded from revision 0004" in str(prepare(database_url))


@on_sqlite_daily
@needs_programs
def test_a_backup_of_a_newer_version_is_refused(database_url: str, tmp_path: Path) -> None:
    populated(database_url)
    execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    copy = back_up(database_url, tmp_path / "copy")
    before = contents(database_url)
    refused(database_url, copy, "is at revision 9999, which this version of the server does not")
    assert contents(database_url) == before


@on_sqlite_daily
@needs_programs
def test_another_programs_database_is_refused(database_url: str, tmp_path: Path) -> None:
    execute(database_url, "CREATE TABLE alembic_version (version_num TEXT)")
    execute(database_url, "INSERT INTO alembic_version VALUES ('0001')")
    copy = back_up(database_url, tmp_path / "copy")
    refused(database_url, copy, "is not a database of this server")


@on_sqlite_daily
@needs_programs
def test_a_server_that_uses_the_database_is_not_disturbed(
    database_url: str, tmp_path: Path
) -> None:
    populated(database_url)
    copy = back_up(database_url, tmp_path / "copy")
    execute(database_url, RETITLE)
    before = contents(database_url)
    with closing(ProcessLock(open_engine(parse_url(database_url)))) as lock:
        lock.acquire(lambda: None)
        refused(database_url, copy, "A server uses the database: stop it first")
    assert contents(database_url) == before


@on_sqlite_daily
@needs_programs
def test_no_file_is_overwritten(database_url: str, tmp_path: Path) -> None:
    populated(database_url)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(DatabaseRefused, match="exists already"):
        back_up(database_url, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


@on_sqlite_daily
@needs_programs
def test_a_file_of_another_kind_is_refused(database_url: str, tmp_path: Path) -> None:
    populated(database_url)
    (tmp_path / "letter").write_text("Dear all")
    refused(database_url, tmp_path / "letter", "is no backup of a database like")
    refused(database_url, tmp_path / "nothing", "cannot be read: No such file or directory")


def test_without_the_programs_of_postgresql_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = open_engine(parse_url("postgresql://somebody:secret@nowhere/base"))
    with pytest.raises(DatabaseRefused, match="pg_dump was not found: install"):
        postgres_dump.dump(engine, tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_a_failing_dump_names_no_password_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$* $PGPASSWORD" >"$0.called"; echo no room >&2; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    engine = open_engine(parse_url("postgresql://somebody:secret@nowhere/base?sslmode=require"))
    with pytest.raises(DatabaseRefused, match=r"^pg_dump failed: no room\.$"):
        postgres_dump.dump(engine, tmp_path / "copy")
    arguments, _, password = Path(f"{program}.called").read_text().strip().rpartition(" ")
    assert password == "secret"
    assert "secret" not in arguments
    assert "sslmode=require" in arguments
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


# ---------------------------------------------------------------- SQLite


@on_sqlite
def test_a_copy_is_one_private_file_with_what_is_still_in_the_log(
    database_url: str, tmp_path: Path
) -> None:
    populated(database_url)
    file_of(database_url).chmod(0o600)
    with closing(sqlite3.connect(file_of(database_url))) as server:
        server.execute(RETITLE)
        server.commit()
        assert b"overnight" not in file_of(database_url).read_bytes()
        copy = back_up(database_url, tmp_path / "copy")
    assert copy.read_bytes()[18:20] == b"\1\1"  # no write-ahead log belongs to it
    assert contents(f"sqlite:///{copy}")["conversations"][1]["title"] == "overnight"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


@on_sqlite
def test_the_log_of_a_killed_server_is_not_applied_to_what_was_restored(
    database_url: str, tmp_path: Path
) -> None:
    populated(database_url)
    copy = back_up(database_url, tmp_path / "copy")
    before = contents(database_url)
    killed = process(_WRITE_AND_DIE, str(file_of(database_url)), RETITLE)
    killed.communicate(timeout=60)
    assert file_of(database_url).with_name("sllm.db-wal").stat().st_size
    message = restore(database_url, copy)
    assert contents(database_url) == before
    aside = kept_aside(message)
    assert contents(f"sqlite:///{aside}")["conversations"][1]["title"] == "overnight"


_WRITE_AND_DIE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute(sys.argv[2])
connection.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


@on_sqlite
def test_a_damaged_database_is_replaced_and_kept_with_its_log(
    database_url: str, tmp_path: Path
) -> None:
    populated(database_url)
    copy = back_up(database_url, tmp_path / "copy")
    before = contents(database_url)
    file = file_of(database_url)
    file.write_bytes(b"nothing that SQLite knows")
    log = file.with_name("sllm.db-wal")
    log.write_bytes(b"a log")
    message = restore(database_url, copy)
    assert contents(database_url) == before
    aside = kept_aside(message)
    assert aside.read_bytes() == b"nothing that SQLite knows"
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"a log"


@on_sqlite
def test_a_damaged_backup_is_refused(database_url: str, tmp_path: Path) -> None:
    populated(database_url)
    copy = back_up(database_url, tmp_path / "copy")
    with closing(sqlite3.connect(copy)) as connection:
        where = "SELECT rootpage FROM sqlite_master WHERE name = 'cuts'"
        [(number,)] = connection.execute(where)
    content = bytearray(copy.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    content[(number - 1) * page : number * page] = bytes(page)
    copy.write_bytes(content)
    before = contents(database_url)
    refused(database_url, copy, "is damaged")
    assert contents(database_url) == before
    assert {path.name for path in file_of(database_url).parent.iterdir()} <= {"sllm.db", "copy"}


@on_sqlite
def test_a_backup_comes_back_where_there_is_no_database(database_url: str, tmp_path: Path) -> None:
    populated(database_url)
    copy = back_up(database_url, tmp_path / "copy")
    moved = f"sqlite:///{tmp_path}/elsewhere.db"
    assert restore(moved, copy) == f"The database is that of {copy}, at revision {HEAD}."
    assert contents(moved) == contents(database_url)
    with pytest.raises(DatabaseRefused, match="is the database itself"):
        restore(moved, tmp_path / "elsewhere.db")


@on_sqlite
def test_a_full_disk_leaves_no_half_copy(database_url: str, tmp_path: Path) -> None:
    populated(database_url)
    execute(database_url, "UPDATE messages SET content = hex(zeroblob(500000))")
    copy = tmp_path / "copies" / "copy"
    copy.parent.mkdir()
    with process(_BACK_UP_WITH_LITTLE_ROOM, database_url, str(copy)) as child:
        output, _ = child.communicate(timeout=60)
    assert f"The copy {copy} could not be made" in output
    assert not list(copy.parent.iterdir())


_BACK_UP_WITH_LITTLE_ROOM = """
import resource, sys
from pathlib import Path
from app.storage.backup import back_up
from app.storage.database import DatabaseRefused
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))  # bytes in one file
try:
    back_up(sys.argv[1], Path(sys.argv[2]))
except DatabaseRefused as error:
    print(error)
"""


def refused(url: str, file: Path, sentence: str) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        restore(url, file)
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
