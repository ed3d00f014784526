"""``sllm backup`` and ``restore`` beside a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.http.stored import listed
from tests.repeating import repeating
from tests.setup.folder import Folder
from tests.store.databases import contents

pytestmark = [pytest.mark.slow, pytest.mark.matrix]


def test_a_copy_of_a_server_that_writes_and_the_way_back(folder: Folder) -> None:
    assert folder.run("backup").stderr == "There is no database sqlite:///sllm.db yet.\n"
    assert folder.run("start").returncode == 0
    with writing(folder) as made:
        while len(made) < 3:
            time.sleep(0.01)
        before = list(made)
        done = folder.run("backup")
        assert done.returncode == 0, done.stderr
        after = list(made)
    [copy] = folder.path.glob("sllm.db.*.bak")
    assert done.stdout == f"The database was copied to {copy.name}.\n"
    stored = contents(f"sqlite:///{copy}")
    copied = [row["id"] for row in stored["conversations"]]
    assert set(before) <= set(copied) <= {*after, *made}
    asked = [row["conversation_id"] for row in stored["messages"] if row["role"] == "user"]
    assert sorted(asked) == sorted(copied)

    in_use = folder.run("restore", copy.name)
    assert in_use.returncode == 1
    assert f"The server at {folder.address} may use the database" in in_use.stderr
    (folder.path / "elsewhere").mkdir()
    other = Folder(folder.path / "elsewhere")  # whose settings name the same database
    in_use = other.run("restore", f"../{copy.name}", DATABASE_URL="sqlite:///../sllm.db")
    assert in_use.stderr == "A server uses the database: stop it first (./run.sh stop).\n"

    folder.run("stop")
    restored = folder.run("restore", copy.name)
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.startswith(f"The database is that of {copy.name}, at revision ")
    assert folder.run("start").returncode == 0
    with httpx.Client(base_url=folder.address, timeout=60) as client:
        assert sorted(listed(client, limit=100)) == sorted(copied)


@contextmanager
def writing(folder: Folder) -> Iterator[list[str]]:
    """Make conversations one after the other; gives the ids of those that are there."""
    made: list[str] = []
    with httpx.Client(base_url=folder.address, timeout=60) as client:

        def write() -> None:
            answer = client.post("/api/v4/chat", json={"message": "hello"})
            made.append(answer.json()["conversation_id"])

        with repeating(write):
            yield made
