"""SQLite's file and disk go away under a running server: said, and nothing is lost silently."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter

from app.conversations import janitor
from app.provider.types import Delta, End, Event, Started, Usage
from app.v2.services.events import EventEncoder
from app.web.sse import EventStream
from tests.conftest import serving
from tests.http.chatting import LONG
from tests.http.events import parsed
from tests.http.stored import MOMENT, being_answered
from tests.selection import matrix
from tests.store import audit
from tests.store.databases import file_of

pytestmark = pytest.mark.slow

CHAT, CONVERSATIONS = "/api/v4/chat", "/api/v4/conversations"
MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB, of which another program takes 8."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("making a small file system takes the rights of root")
    (place / "other").write_bytes(bytes(8 * MIB))
    yield place
    subprocess.run(["/bin/umount", "-l", str(place)], check=True)


@pytest.fixture(autouse=True)
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor, "ROUND_SECONDS", 0.1)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def names(client: httpx.Client) -> list[str]:
    page = client.get(CONVERSATIONS, params={"limit": 1000})
    assert page.status_code == 200, page.text
    return [one["id"] for one in page.json()["conversations"]]


def require_unavailable(answer: httpx.Response, sentence: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "storage-unavailable")
    assert sentence in answer.json()["detail"]


def require_unwell(client: httpx.Client, sentence: str) -> None:
    health = client.get("/health")
    assert health.status_code == 503
    assert sentence in health.json()["database"]


def require_well(client: httpx.Client) -> None:
    health = client.get("/health")
    assert (health.status_code, health.json()["database"]) == (200, "ok")


# ---------------------------------------------------------------- a full disk


def fill(client: httpx.Client) -> httpx.Response:
    """Import conversations until it is refused; returns the refusal."""
    while True:
        content = "." * 400_000
        message = {"role": "user", "content": content, "created_at": MOMENT}
        conversation = {
            "title": "large",
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "active_leaf_id": "2",
            "setup": {},
            "messages": [
                message | {"id": "1", "parent_id": None},
                message | {"id": "2", "parent_id": "1", "role": "assistant"},
            ],
        }
        body = {"format": "sllm-conversation", "version": 1, "exported_at": MOMENT}
        answer = client.post(f"{CONVERSATIONS}/import", json=body | {"conversation": conversation})
        assert answer.status_code in {201, 503}, answer.text
        if answer.status_code != 201:
            return answer


def occupy(disk: Path) -> None:
    """Take what room is left, as another program does."""
    with (disk / "other").open("ab", buffering=0) as other:
        for size in (MIB, 4096, 1):
            try:
                while True:
                    other.write(bytes(size))
            except OSError:
                pass
    assert os.statvfs(disk).f_bfree == 0


def test_a_full_disk_is_said_read_and_emptied(small_disk: Path, empty_models: Path) -> None:
    url = f"sqlite:///{small_disk}/sllm.db"
    reserve = small_disk / "sllm.db-reserve"
    with serving(database_url=url, models_dir=empty_models) as client:
        until(reserve.exists)
        kept = client.post(CHAT, json={"message": "keep this"}).json()["conversation_id"]
        for _ in range(2):
            require_unavailable(fill(client), "disk of the database is full")
            occupy(small_disk)
            require_unwell(client, "disk of the database is full")
            before = names(client)
            refused = client.post(CHAT, json={"message": "no room " * 10_000})
            require_unavailable(refused, "disk of the database is full")
            assert names(client) == before
            assert client.get(f"{CONVERSATIONS}/{before[-1]}").status_code == 200
            for name in before:
                if name != kept:
                    assert client.delete(f"{CONVERSATIONS}/{name}").status_code == 204
            assert names(client) == [kept]
            until(lambda: not audit.table(url, "removals"))
            assert client.post(CHAT, json={"message": "room again"}).status_code == 200
            names_now = [name for name in names(client) if name != kept]
            assert client.delete(f"{CONVERSATIONS}/{names_now[0]}").status_code == 204
        (small_disk / "other").unlink()
        until(reserve.exists)
        require_well(client)
    audit.require_sound(url)
    assert len(audit.messages(url)) == 2


def test_a_server_starts_on_a_full_disk(small_disk: Path, empty_models: Path) -> None:
    url = f"sqlite:///{small_disk}/sllm.db"
    with serving(database_url=url, models_dir=empty_models) as client:
        until((small_disk / "sllm.db-reserve").exists)
        kept = client.post(CHAT, json={"message": "keep this"}).json()["conversation_id"]
    occupy(small_disk)
    with serving(database_url=url, models_dir=empty_models) as client:
        assert names(client) == [kept]
        assert client.delete(f"{CONVERSATIONS}/{kept}").status_code == 204


# ---------------------------------------------------------------- a file that goes away


def gone(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def without_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def replaced(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").rename(file)


@contextmanager
def moved_away(file: Path) -> Iterator[None]:
    away = file.with_name("away")
    file.rename(away)
    yield
    away.rename(file)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("accident", "sentence"),
    [
        (gone, "has been deleted or moved"),
        *matrix((without_log, "has been deleted or moved"), (replaced, "has been replaced")),
    ],
)
def test_a_file_that_is_gone_takes_nothing_more(
    database_url: str, empty_models: Path, accident: Callable[[Path], None], sentence: str
) -> None:
    with serving(database_url=database_url, models_dir=empty_models) as client:
        stored = client.post(CHAT, json={"message": "before"}).json()["conversation_id"]
        require_well(client)
        accident(file_of(database_url))
        require_unwell(client, sentence)
        require_unavailable(client.post(CHAT, json={"message": "after"}), sentence)
        require_unavailable(client.get(f"{CONVERSATIONS}/{stored}"), sentence)
        require_unavailable(client.delete(f"{CONVERSATIONS}/{stored}"), sentence)
        assert client.post("/api/v1/chat", json={"message": "unstored"}).status_code == 200
    with serving(database_url=database_url, models_dir=empty_models) as client:
        require_well(client)
        assert client.post(CHAT, json={"message": "anew"}).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_answer_that_cannot_be_stored_is_not_called_done(
    database_url: str, empty_models: Path
) -> None:
    with serving(
        database_url=database_url,
        models_dir=empty_models,
        context_length=10**7,
        default_max_tokens=10**7,
    ) as client:
        with being_answered(client, message=LONG[: len(LONG) // 4]) as rest:
            gone(file_of(database_url))
            text = "".join(rest)
        last = parsed(text[text.index("event: ") :])[-1]
    assert (last.name, last.data["code"]) == ("error", "storage-unavailable")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_comes_back_is_used_again(database_url: str, empty_models: Path) -> None:
    with serving(database_url=database_url, models_dir=empty_models) as client:
        stored = client.post(CHAT, json={"message": "before"}).json()["conversation_id"]
        with moved_away(file_of(database_url)):
            require_unwell(client, "has been deleted or moved")
        until(lambda: client.get("/health").status_code == 200)
        assert client.post(CHAT, json={"message": "go on", "conversation_id": stored}).is_success
    audit.require_sound(database_url)
    assert len(audit.messages(database_url)) == 4


# ---------------------------------------------------------------- idempotency keys


KEY = {"Idempotency-Key": "once"}
ECHO, SLOW = "/api/v1/chat", "/api/v1/slow"
FINISH = threading.Event()

router = APIRouter()


@router.post(SLOW)
async def slow() -> EventStream:
    """An answer that ends when the test lets it."""
    return EventStream(EventEncoder({}), until_told())


async def until_told() -> AsyncGenerator[Event, None]:
    yield Started(1, 0)
    yield Delta(os.urandom(3 * MIB).hex())  # more than the log has room for
    while not FINISH.is_set():
        await asyncio.sleep(0.01)
    yield End("stop", Usage(1, 1, 0))


def test_an_answer_that_cannot_be_recorded_is_sent(
    small_disk: Path, empty_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    FINISH.clear()
    url = f"sqlite:///{small_disk}/sllm.db"
    with serving(database_url=url, models_dir=empty_models, routers=[router]) as client:
        until((small_disk / "sllm.db-reserve").exists)
        with client.stream("POST", SLOW, headers=KEY) as answer:
            pieces = answer.iter_text()
            text = next(pieces)
            fill(client)
            occupy(small_disk)
            FINISH.set()
            text += "".join(pieces)
        assert "event: done" in text
        assert "is not kept: The disk of the database is full" in caplog.text
        refused = client.post(ECHO, json={"message": "hi"}, headers={"Idempotency-Key": "new"})
        require_unavailable(refused, "disk of the database is full")
        assert client.post(ECHO, json={"message": "hi"}).status_code == 200
        (small_disk / "other").unlink()
        until(lambda: client.post(SLOW, headers=KEY).status_code == 200)
        again = client.post(SLOW, headers=KEY)
    assert "event: done" in again.text
    assert again.headers["idempotent-replayed"] == "true"
