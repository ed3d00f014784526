"""``run.sh update``: a new version takes over, or everything is as it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.storage.migrate import HEAD, current_revision
from tests.setup import releases
from tests.setup.project import tools_only
from tests.setup.releases import Clone, Edit
from tests.store.databases import contents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.matrix,
    pytest.mark.skipif(not shutil.which("git"), reason="git is not on PATH"),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("installed"))
    made.make()
    return made


@pytest.fixture
def clone(installed: Clone, tmp_path: Path) -> Clone:
    return installed.copy(tmp_path / "copy")


def converse(clone: Clone) -> None:
    answer = httpx.post(f"{clone.address}/api/v4/chat", json={"message": "hello"}, timeout=60)
    assert answer.is_success, answer.text


def conversations(clone: Clone) -> list[dict[str, Any]]:
    found = httpx.get(f"{clone.address}/api/v4/conversations", timeout=60).json()
    listed: list[dict[str, Any]] = found["conversations"]
    return listed


def copies(clone: Clone, label: str) -> list[Path]:
    return sorted(clone.path.glob(f"sllm.db.{label}.*.bak"))


def test_a_new_version_takes_over_with_all_conversations(clone: Clone) -> None:
    newest = clone.release(releases.SHOWS_ITSELF, releases.MIGRATES, releases.moves_the_script)
    with clone.serving():
        converse(clone)
        before = contents(clone.database)
        done = clone.run("update")
        assert done.returncode == 0, done.stderr
        assert clone.health()["release"] == "new"
        assert [one["title"] for one in conversations(clone)] == ["changed"]
        again = clone.run("update")
        assert (again.returncode, again.stdout) == (0, "This is the newest version already.\n")
    assert clone.git("rev-parse", "HEAD") == newest
    assert clone.git("status", "--porcelain") == ""
    assert current_revision(clone.database) == releases.NEXT
    [copy] = copies(clone, "update")
    assert f"The database was copied to {copy.name}." in done.stdout
    assert contents(f"sqlite:///{copy}") == before


def test_where_no_server_runs_the_new_version_only_shows_that_it_can(clone: Clone) -> None:
    """Also on a machine where none has ever run, and so without a database."""
    newest = clone.release(releases.SHOWS_ITSELF)
    done = clone.run("update")
    assert done.returncode == 0, done.stderr
    assert clone.run("status").returncode == 3
    assert clone.git("rev-parse", "HEAD") == newest
    assert not list(clone.path.glob("sllm.db*"))


def test_only_the_newest_copies_stay(clone: Clone) -> None:
    with clone.serving():
        pass
    old = [clone.path / f"sllm.db.update.2026010{day}-120000.bak" for day in range(1, 5)]
    for path in old:
        path.touch()
    clone.release(releases.SHOWS_ITSELF)
    assert clone.run("update").returncode == 0
    assert copies(clone, "update")[:-1] == old[-2:]


# ---------------------------------------------------------------- the way back


@contextmanager
def all_is_as_before(clone: Clone) -> Iterator[None]:
    """Of a clone whose server runs: code, database and server."""
    converse(clone)
    commit, stored = clone.git("rev-parse", "HEAD"), contents(clone.database)
    yield
    assert clone.git("rev-parse", "HEAD") == commit
    assert clone.git("status", "--porcelain") == ""
    assert "release" not in clone.health()
    assert clone.health()["status"] == "ok"
    assert len(conversations(clone)) == 1
    assert current_revision(clone.database) == HEAD
    assert contents(clone.database) == stored


BAD: dict[str, tuple[Sequence[Edit], str]] = {
    "install": ([releases.NEEDS_WHAT_NOBODY_HAS], "./run.sh install failed"),
    "import": ([releases.has_only_broken_modules], "./run.sh migrate failed"),
    "migrate": ([releases.CANNOT_MIGRATE], "./run.sh migrate failed"),
    "hang": ([releases.NEVER_ENDS_ITS_START], "./run.sh start has not ended after 5 s"),
    "migrate, then be ill": (
        [releases.MIGRATES, releases.SHOWS_ITSELF, releases.IS_ILL],
        "did not become healthy",
    ),
    "be ill": ([releases.SHOWS_ITSELF, releases.IS_ILL], "did not become healthy"),
}


@pytest.mark.parametrize("failure", BAD)
def test_a_bad_version_leaves_everything_as_it_was(clone: Clone, failure: str) -> None:
    edits, reason = BAD[failure]
    clone.release(*edits)
    with clone.serving(), all_is_as_before(clone):
        done = clone.run("update", "--seconds", "5")
        assert done.returncode == 1
        assert reason in done.stderr
        assert "Everything is as before the update" in done.stderr
    # What is stored is only replaced where its tables have changed.
    assert len(copies(clone, "replaced")) == (releases.MIGRATES in edits)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.skipif(not shutil.which("pg_dump"), reason="pg_dump is not on PATH")
def test_a_database_of_postgresql_comes_back_too(clone: Clone, database_url: str) -> None:
    clone.database = database_url
    clone.release(*BAD["migrate, then be ill"][0])
    with clone.serving(DATABASE_URL=database_url), all_is_as_before(clone):
        done = clone.run("update", "--seconds", "5")
        assert done.returncode == 1
        assert "Everything is as before the update" in done.stderr
    assert len(list(clone.path.glob("*.update.*.bak"))) == 1


@pytest.mark.parametrize("closed", [False, True])
def test_after_ctrl_c_everything_is_as_it_was(clone: Clone, closed: bool) -> None:
    """Also where the terminal is closed, and nothing can be printed any more."""
    clone.release(releases.NEVER_ENDS_ITS_INSTALLATION)
    began = clone.path / ".venv" / "began"
    with clone.serving(), all_is_as_before(clone), clone.begun("update") as process:
        while not began.exists():
            assert process.poll() is None
            time.sleep(0.01)
        if closed:
            assert process.stdout
            assert process.stderr
            process.stdout.close()
            process.stderr.close()
        os.killpg(process.pid, signal.SIGHUP if closed else signal.SIGINT)
        assert process.wait(120) == 1
        if not closed:
            assert process.stderr
            errors = process.stderr.read()
            assert "The update failed: it was interrupted. Going back." in errors
            assert "Everything is as before the update" in errors


def test_packages_that_were_replaced_are_put_back(clone: Clone) -> None:
    """What pip does is tested in test_run.py: here it only says what it was asked for."""
    stub = 'pip_install() {\n    echo "$(git log -1 --format=%h) $*" >>"$VENV/asked"\n'
    clone.release(releases.replace("run.sh", "pip_install() {\n", f"{stub}    return\n"))
    clone.git("pull", "--quiet")
    changes = 'logged() {\n    mkdir "$(echo "$VENV"/lib/*/site-packages)/new-1.0.dist-info"\n'
    new = clone.release(
        releases.replace("run.sh", "logged() {", changes),
        releases.replace("pyproject.toml", "dependencies = [", "dependencies = [ # more"),
        releases.has_only_broken_modules,
    )
    with clone.serving(), all_is_as_before(clone):
        stamp = clone.path / ".venv" / "installed"
        before = stamp.read_text()
        assert clone.run("update").returncode == 1
        asked = (clone.path / ".venv" / "asked").read_text().splitlines()
        assert [line.split()[0] for line in asked] == [
            clone.git("rev-parse", "--short", new),
            clone.git("rev-parse", "--short", "HEAD"),
        ]
        assert stamp.read_text() == before


# ---------------------------------------------------------------- what is refused


def refused(clone: Clone, sentence: str, **environment: str) -> None:
    commit = clone.git("rev-parse", "HEAD") if (clone.path / ".git").exists() else ""
    done = clone.run("update", **environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    if commit:
        assert clone.git("rev-parse", "HEAD") == commit


def test_without_git_there_is_nothing_to_pull(clone: Clone, tmp_path: Path) -> None:
    path = tools_only(tmp_path / "bin")
    refused(clone, "Git is needed for an update: install it.", PATH=path)
    shutil.rmtree(clone.path / ".git")
    refused(clone, "is no Git checkout, so there is nothing to pull", PATH=path)
    clone.git("-C", "..", "init", "--quiet")  # a repository of something else
    refused(clone, "a container: pull a new image")


def test_a_branch_without_an_upstream_is_refused(clone: Clone) -> None:
    clone.release(releases.SHOWS_ITSELF)
    clone.git("switch", "--quiet", "--create", "mine")
    refused(clone, "The branch has no upstream to pull from")
    clone.git("switch", "--quiet", "--detach")
    refused(clone, "No branch is checked out")


def test_changes_of_the_user_are_kept(clone: Clone) -> None:
    clone.release(releases.SHOWS_ITSELF)
    releases.moves_the_script(clone.path)
    refused(clone, "You have changed files of the project (run.sh)")
    clone.git("commit", "--quiet", "--all", "--message", "Mine")
    refused(clone, "Your branch has 1 commits that its upstream does not have")


def test_an_upstream_out_of_reach_is_named(clone: Clone) -> None:
    clone.git("remote", "set-url", "origin", "/nowhere")
    refused(clone, "The new version could not be fetched: fatal: '/nowhere' does not appear")


def test_a_file_in_the_way_is_not_overwritten(clone: Clone) -> None:
    clone.release(releases.MIGRATES)
    mine = clone.path / "migrations" / "versions" / f"{releases.NEXT}_next.py"
    mine.write_text("mine")
    done = clone.run("update")
    assert done.returncode == 1
    assert "untracked working tree files would be overwritten" in done.stderr
    assert mine.read_text() == "mine"


def test_a_server_that_others_have_started_is_not_touched(clone: Clone) -> None:
    clone.release(releases.SHOWS_ITSELF)
    port = str(clone.port)
    with clone.begun("serve", PORT=port) as server:
        wait_until_healthy(clone, server)
        refused(clone, f"The server at {clone.address} was not started by", PORT=port)
        done = clone.run("update", PORT="0")  # another port, but the same database
        assert done.returncode == 1
        assert "A server uses the database: stop it first" in done.stderr
        assert "release" not in clone.health()
        server.terminate()
        server.communicate(timeout=60)


def wait_until_healthy(clone: Clone, server: subprocess.Popen[str]) -> None:
    while True:
        assert server.poll() is None
        try:
            converse(clone)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return


def test_an_installation_elsewhere_is_not_updated(clone: Clone) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "update"],
        cwd=clone.path,
        env=clone.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "call ./run.sh update" in done.stderr
