"""Many at once: threads on one SQLite file, and two servers on one PostgreSQL database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from app.conversations.store.endings import ABANDONED
from app.storage.database import Table
from tests.conftest import serving
from tests.http.chatting import CHAT, LONG, STREAM, chat, shown_tokens, streamed, wait_for
from tests.http.events import parsed
from tests.selection import matrix
from tests.store import audit
from tests.store.databases import connected
from tests.store.servers import Server, server
from tests.suspending import suspend

pytestmark = pytest.mark.slow

THREADS = 8
ANY_LENGTH: dict[str, Any] = {
    "context_length": 10**7,
    "max_history_length": 10**6,
    "max_waiting": 100,
}

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ask(client: httpx.Client, number: int, message: str, **options: Any) -> int:
    """Whole and streamed by turns; how many words the model was shown."""
    if number % 2:
        return shown_tokens(chat(client, message, **options))
    usage = streamed(client, message, **options)[-1].data["usage"]
    tokens: int = usage["prompt_tokens"]
    return tokens


def require_all(url: str, conversation_id: str, asked: list[str]) -> None:
    """One straight branch of exactly these questions, in any order, each answered in full."""
    way = audit.require_straight(url, conversation_id)
    assert sorted(row.content for row in way[::2]) == sorted(asked)
    assert [row.content for row in way[::2]] == [row.content for row in way[1::2]]
    assert {row.status for row in way} == {"complete"}


def at_once(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


# ---------------------------------------------------------------- one file


@sqlite
@pytest.mark.parametrize("turns", [12, *matrix(40)])
def test_eight_threads_with_a_conversation_each(
    database_url: str, empty_models: Path, turns: int
) -> None:
    with serving(models_dir=empty_models, database_url=database_url, **ANY_LENGTH) as client:

        def talk(thread: int) -> str:
            name: str = chat(client, f"thread {thread} turn 0")["conversation_id"]
            for turn in range(1, turns):
                asked = f"thread {thread} turn {turn}"
                assert ask(client, turn, asked, conversation_id=name) == 8 * turn + 4
            return name

        names = at_once(talk)
    for thread, name in enumerate(names):
        asked = [f"thread {thread} turn {turn}" for turn in range(turns)]
        require_all(database_url, name, asked)
        assert [row.content for row in audit.branch(database_url, name)[::2]] == asked
    assert len(audit.messages(database_url)) == THREADS * turns * 2
    audit.require_sound(database_url)


@sqlite
@pytest.mark.parametrize("turns", [12, *matrix(40)])
def test_eight_threads_on_four_conversations(
    database_url: str, empty_models: Path, turns: int
) -> None:
    with serving(models_dir=empty_models, database_url=database_url, **ANY_LENGTH) as client:
        names = [chat(client, "begin")["conversation_id"] for _ in range(4)]

        def talk(thread: int) -> None:
            for turn, name in zip(range(turns), cycle(names), strict=False):
                options = {"conversation_id": name, "when_busy": "wait"}
                ask(client, turn, f"thread {thread} turn {turn}", **options)

        at_once(talk)
    for number, name in enumerate(names):
        turns_here = range(number, turns, 4)
        asked = [f"thread {one} turn {turn}" for one in range(THREADS) for turn in turns_here]
        require_all(database_url, name, ["begin", *asked])
    audit.require_sound(database_url)


@sqlite
def test_a_file_in_the_models_folder_is_not_taken_from_under_the_server(
    database_url: str, tmp_path: Path
) -> None:
    """Whoever opens and closes SQLite's files frees its locks; others then delete its log."""
    url = f"sqlite:///{tmp_path}/sllm.db"
    with server(url, tmp_path) as one, httpx.Client(base_url=one.address(), timeout=60) as client:
        for number in range(1, 3):
            chat(client, f"turn {number}")
            client.get("/api/v4/models")
            time.sleep(1.1)  # then a request for an unknown model looks at the folder again
            client.post(CHAT, json={"message": "hi", "model": "unheard-of"})
            assert len(audit.messages(url)) == 2 * number


# ---------------------------------------------------------------- two servers


@pytest.fixture(scope="module")
def url(shared_database_url: str) -> str:
    return shared_database_url


@pytest.fixture(scope="module")
def two(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with (
        server(url, tmp_path_factory.mktemp("one")) as one,
        server(url, tmp_path_factory.mktemp("two")) as other,
    ):
        yield [one, other]


@pytest.fixture
def both(two: list[Server]) -> Iterator[list[httpx.Client]]:
    with (
        httpx.Client(base_url=two[0].address(), timeout=60) as one,
        httpx.Client(base_url=two[1].address(), timeout=60) as other,
    ):
        yield [one, other]


@pytest.fixture
def mortal(two: list[Server]) -> Iterator[Server]:
    """The first of them, to be killed; the next test finds it alive again."""
    yield two[0]
    two[0].kill()
    two[0].start()
    two[0].open()


def test_one_conversation_by_turns_on_two_servers(url: str, both: list[httpx.Client]) -> None:
    name = chat(both[0], "turn 0", system="three system words")["conversation_id"]
    for turn, client in zip(range(1, 20), cycle(reversed(both)), strict=False):
        assert ask(client, turn, f"turn {turn}", conversation_id=name) == 3 + 4 * turn + 2
    require_all(url, name, [f"turn {turn}" for turn in range(20)])
    audit.require_sound(url)


@pytest.mark.parametrize("when_busy", ["error", "wait"])
def test_one_conversation_at_once_on_two_servers(
    url: str, both: list[httpx.Client], when_busy: str
) -> None:
    name = chat(both[0], "begin")["conversation_id"]
    asked: list[str] = []

    def talk(thread: int) -> None:
        for turn in range(10):
            question = f"thread {thread} turn {turn}"
            body = {"message": question, "conversation_id": name, "when_busy": when_busy}
            while (answer := both[thread % 2].post(CHAT, json=body)).status_code == 409:
                assert when_busy == "error"
                assert answer.json()["code"] == "conversation-busy"
            assert answer.status_code == 200, answer.text
            asked.append(question)

    at_once(talk, 4)
    require_all(url, name, ["begin", *asked])
    assert len(asked) == 40
    audit.require_sound(url)


def test_an_answer_is_stopped_through_the_other_server(
    url: str, two: list[Server], both: list[httpx.Client]
) -> None:
    one, other = both
    name = chat(one, "begin")["conversation_id"]
    (engine,) = two[0].engines()
    stopped: dict[str, Any] = {}

    def stop() -> None:
        stopped.update(other.post(f"/api/v4/conversations/{name}/stop").json())

    stopping = threading.Thread(target=stop)
    with one.stream("POST", STREAM, json={"message": LONG, "conversation_id": name}) as answer:
        text = ""
        for piece in answer.iter_text():
            if "event: delta" in piece and "event: delta" not in text:
                suspend(engine)  # or it might be through before it is stopped
                stopping.start()
            text += piece
    stopping.join()
    engine.resume()
    events = parsed(text)
    kept = audit.messages(url, name)[-1]
    assert (events[-1].name, events[-1].data["finish_reason"]) == ("done", "cancelled")
    assert (stopped["message_id"], stopped["status"]) == (kept.id, "stopped")
    assert (kept.status, kept.finish_reason) == ("stopped", "cancelled")
    assert kept.content == "".join(one.data["text"] for one in events if one.name == "delta")
    assert len(kept.content) < len(LONG)
    audit.require_sound(url)


def lease_until(url: str, moment: int) -> None:
    """Let the leases of running answers end then."""
    table = Table.metadata.tables["messages"]
    ends = update(table).where(table.c.status == "generating").values(lease_until=moment)
    with connected(url) as connection:
        connection.execute(ends)


@pytest.mark.parametrize("shared_database_url", ["postgresql"], indirect=True)
def test_what_a_dead_server_left_is_ended_by_the_other(
    url: str, mortal: Server, both: list[httpx.Client]
) -> None:
    """After the lease, for until then it may be alive; meanwhile the conversation is busy.

    The lease ends when the test says so, not after its seconds.
    """
    one, other = both
    name = chat(one, "begin")["conversation_id"]
    body = {"message": LONG, "conversation_id": name}
    (engine,) = mortal.engines()
    with pytest.raises(httpx.TransportError), one.stream("POST", STREAM, json=body) as answer:
        for piece in answer.iter_text():
            if "event: delta" in piece:
                suspend(engine)
                wait_for(url, name, "generating", text=True)
                mortal.kill()
                engine.kill()
    lease_until(url, 2**52)  # so that the next lines have all the time they need
    again = {"message": "again", "conversation_id": name}
    assert other.post(CHAT, json=again).status_code == 409
    lease_until(url, 0)
    kept = wait_for(url, name, "failed", text=True)
    assert kept.error == ABANDONED
    assert LONG.startswith(kept.content)
    assert chat(other, "again", conversation_id=name)["message"]["content"] == "again"
    audit.require_sound(url)
