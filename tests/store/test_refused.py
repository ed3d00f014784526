"""A database that cannot be used is one sentence to whoever starts the server, and unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.storage.database import DatabaseRefused, display_url, parse_url
from app.storage.migrate import HEAD, prepare
from tests.postgres import Cluster
from tests.selection import on_sqlite_daily
from tests.store.databases import (
    ROOT,
    contents,
    copies,
    execute,
    file_of,
    make,
    process,
    without_rights,
)
from tests.store.population import ROWS

pytestmark = pytest.mark.slow

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def refusal(url: str) -> str:
    with pytest.raises(DatabaseRefused) as caught:
        prepare(url)
    assert len(str(caught.value).splitlines()) == 1
    assert "secret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///sllm.db", "sqlite:///sllm.db"),
        ("sqlite+pysqlite:////data/sllm.db", "sqlite:////data/sllm.db"),
        ("postgresql://u:secret@host/name", "postgresql+psycopg://u:secret@host/name"),
        ("postgres://u:secret@host:5433/name", "postgresql+psycopg://u:secret@host:5433/name"),
        ("postgresql+psycopg2://u@host/name", "postgresql+psycopg://u@host/name"),
        ("postgresql://u:%40%2F@host/name", "postgresql+psycopg://u:%40%2F@host/name"),
    ],
)
def test_urls_that_are_understood(url: str, expected: str) -> None:
    assert parse_url(url).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sllm.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://sllm.db",
        "sqlite:///sllm.db?mode=ro",
        "sqlite:///file:sllm.db?uri=true",
        "mysql://u:secret@host/name",
        "postgresql://u:secret@host:port/name",
        "postgresql://u:p@secret@host/name",
    ],
)
def test_urls_that_are_not(url: str) -> None:
    assert refusal(url).startswith("DATABASE_URL must name an SQLite file, like sqlite:///sllm.db")


@pytest.mark.parametrize(
    "url", ["postgres://u:secret@host/name", "postgresql://u@host/name?password=secret"]
)
def test_no_password_is_shown(url: str) -> None:
    assert "secret" not in display_url(parse_url(url))
    assert "host/name" in display_url(parse_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@127.0.0.1:1/name",
        "postgresql://u:secret@/name?host=/nowhere&password=secret",
        "postgresql://u:secret@sllm.invalid/name",
        "postgresql://u:secret@127.0.0.1:1/name?nonsense=1",
    ],
)
def test_a_postgresql_that_cannot_be_reached(url: str) -> None:
    message = refusal(url)
    assert message.startswith("The database postgresql://u:***@")
    assert "cannot be used: " in message


def test_a_postgresql_that_lets_nobody_of_that_name_in(postgres: Cluster) -> None:
    url = postgres.url("postgres").replace("tester", "stranger:secret")
    assert 'role "stranger" does not exist' in refusal(url)
    assert 'database "nowhere" does not exist' in refusal(postgres.url("nowhere"))


@SQLITE
def test_a_file_that_is_not_a_database(database_url: str) -> None:
    file_of(database_url).write_text("These are the notes of somebody.")
    assert "sllm.db cannot be used: file is not a database." in refusal(database_url)
    assert file_of(database_url).read_text() == "These are the notes of somebody."


def test_a_folder_that_is_missing_or_where_a_file_should_be(tmp_path: Path) -> None:
    assert "unable to open database file" in refusal(f"sqlite:///{tmp_path}/no/sllm.db")
    assert "unable to open database file" in refusal(f"sqlite:///{tmp_path}")


@SQLITE
def test_a_file_or_folder_without_the_right_to_write(database_url: str) -> None:
    file = file_of(database_url)
    with without_rights(file.parent):
        assert "unable to open database file" in refusal(database_url)
    make(database_url, "0001")
    with without_rights(file, file.parent):
        assert "cannot be used" in refusal(database_url)
    file.chmod(0)
    with without_rights(file.parent):
        assert "cannot be used" in refusal(database_url)
    file.chmod(0o600)
    assert contents(database_url)["alembic_version"] == [{"version_num": "0001"}]
    assert copies(database_url) == []


@SQLITE
def test_a_disk_too_full_for_the_copy(database_url: str) -> None:
    make(database_url, "0001")
    execute(database_url, *ROWS["0001"], "UPDATE messages SET content = hex(zeroblob(500000))")
    before = contents(database_url)
    with process(_PREPARE_WITH_LITTLE_ROOM, database_url) as child:
        output, _ = child.communicate(timeout=60)
    assert "The database needs an upgrade, but the copy" in output
    assert "could not be made first" in output
    assert copies(database_url) == []
    assert contents(database_url) == before


_PREPARE_WITH_LITTLE_ROOM = """
import resource, sys
from app.storage.database import DatabaseRefused
from app.storage.migrate import prepare
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))  # bytes in one file
try:
    prepare(sys.argv[1])
except DatabaseRefused as error:
    print(error)
"""


def run(url: str, *command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in an empty folder, which has no .env."""
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": url, "PORT": "0"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=given,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@on_sqlite_daily
def test_the_command_migrates_and_says_what_it_did(database_url: str, tmp_path: Path) -> None:
    make(database_url, "0001")
    first = run(database_url, "app.cli", "migrate", folder=tmp_path)
    again = run(database_url, "app.cli", "migrate", folder=tmp_path)
    assert first.stdout.startswith(f"The database was upgraded from revision 0001 to {HEAD}.")
    assert again.stdout == "The database is up to date.\n"
    assert (first.returncode, first.stderr) == (0, "")


@on_sqlite_daily
@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_commands_end_with_the_sentence_alone(store_url: str, command: str, tmp_path: Path) -> None:
    execute(store_url, "UPDATE alembic_version SET version_num = '9999'")
    done = run(store_url, "app.cli", command, folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("The database is at revision 9999")
    assert len(done.stderr.splitlines()) == 1


def test_serve_does_not_show_the_password(tmp_path: Path) -> None:
    done = run("postgresql://u:secret@127.0.0.1:1/name", "app.cli", "serve", folder=tmp_path)
    assert done.returncode == 1
    assert "secret" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1


@on_sqlite_daily
def test_the_alembic_command_works_and_finds_the_models_as_migrated(database_url: str) -> None:
    """``check`` compares the tables with the models and fails where they differ."""
    for command, expected in [
        ("upgrade head", ""),
        ("current", f"{HEAD} (head)"),
        ("check", "No new upgrade operations detected."),
    ]:
        done = run(database_url, "alembic", *command.split(), folder=ROOT)
        assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr
    assert prepare(database_url) is None
