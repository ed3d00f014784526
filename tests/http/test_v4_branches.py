"""Where a question goes in the tree, what stays with a conversation, and who comes first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import serving
from tests.http.chatting import CHAT, STREAM, chat, refused, shown_tokens, streamed, wait_for
from tests.http.events import parsed
from tests.store import audit
from tests.suspending import suspend

GONE = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def url(shared_database_url: str) -> str:
    return shared_database_url


@pytest.fixture(scope="module")
def engine_and_client(
    url: str, empty_models: Path
) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    with served(url, empty_models) as both:
        yield both


@contextmanager
def served(
    url: str, models: Path, **settings: Any
) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """A server, and the process of its engine."""
    others = set(psutil.Process().children())
    with serving(models_dir=models, database_url=url, **settings) as client:
        client.post("/api/v1/chat", json={"message": "hi"})
        (engine,) = set(psutil.Process().children()) - others
        yield engine, client


@pytest.fixture
def client(engine_and_client: tuple[psutil.Process, httpx.Client]) -> httpx.Client:
    return engine_and_client[1]


@pytest.fixture
def engine(engine_and_client: tuple[psutil.Process, httpx.Client]) -> Iterator[psutil.Process]:
    """To be suspended: then an answer is being made for as long as a test needs it."""
    engine, _ = engine_and_client
    yield engine
    engine.resume()


# ---------------------------------------------------------------- the tree


def test_a_conversation_goes_on_where_it_ended(client: httpx.Client, url: str) -> None:
    first = chat(client, "one")
    name = first["conversation_id"]
    second = chat(client, "two words", conversation_id=name)
    third = streamed(client, "now three words", conversation_id=name)
    assert shown_tokens(second) == 1 + 1 + 2
    assert third[-1].data["usage"]["prompt_tokens"] == 1 + 1 + 2 + 2 + 3
    way = audit.require_straight(url, name)
    assert [row.id for row in way[1::2]] == [
        first["message_id"],
        second["message_id"],
        third[0].data["message_id"],
    ]


def test_a_parent_makes_a_branch_and_the_branch_is_gone_on_with(
    client: httpx.Client, url: str
) -> None:
    first = chat(client, "root")
    here = {"conversation_id": first["conversation_id"]}
    chat(client, "this way", **here)
    edited = chat(client, "or that way", parent_id=first["message_id"], **here)
    assert shown_tokens(edited) == 1 + 1 + 3
    later = chat(client, "on", **here)
    assert shown_tokens(later) == 1 + 1 + 3 + 3 + 1
    questions = [row.content for row in audit.branch(url, here["conversation_id"])[::2]]
    assert questions == ["root", "or that way", "on"]
    assert len(audit.messages(url, here["conversation_id"])) == 8


def test_no_parent_makes_another_first_question(client: httpx.Client, url: str) -> None:
    first = chat(client, "root")
    here = {"conversation_id": first["conversation_id"]}
    other = chat(client, "another root", parent_id=None, **here)
    assert shown_tokens(other) == 2
    roots = [row for row in audit.messages(url, here["conversation_id"]) if row.parent_id is None]
    assert [row.content for row in roots] == ["root", "another root"]


@pytest.mark.parametrize("route", [CHAT, STREAM])
def test_wrong_parents(client: httpx.Client, url: str, route: str) -> None:
    first, elsewhere = chat(client, "here"), chat(client, "elsewhere")
    here = {"conversation_id": first["conversation_id"], "route": route}
    problem = refused(client, 422, "invalid-request", parent_id=first["parent_id"], **here)
    assert problem["errors"][0]["pointer"] == "/parent_id"
    refused(client, 404, "message-not-found", parent_id=GONE, **here)
    refused(client, 404, "message-not-found", parent_id=elsewhere["message_id"], **here)
    refused(client, 404, "conversation-not-found", route, conversation_id=GONE)
    assert len(audit.messages(url, here["conversation_id"])) == 2


def test_what_does_not_go_together(client: httpx.Client, url: str) -> None:
    first = chat(client)
    name, answer = first["conversation_id"], first["message_id"]
    past = [{"role": "user", "content": "hello"}]
    problem = refused(client, 422, "invalid-request", conversation_id=name, history=past)
    assert problem["errors"][0]["pointer"] == "/history"
    problem = refused(client, 422, "invalid-request", parent_id=answer)
    assert problem["errors"][0]["pointer"] == "/parent_id"
    assert chat(client, conversation_id=name, history=[])["conversation_id"] == name


# ---------------------------------------------------------------- what stays


def test_the_system_text_stays_until_null_takes_it_away(client: httpx.Client) -> None:
    first = chat(client, "a", system="three system words")
    here = {"conversation_id": first["conversation_id"]}
    assert shown_tokens(first) == 3 + 1
    assert shown_tokens(chat(client, "b", **here)) == 3 + 2 + 1
    assert shown_tokens(chat(client, "c", system="one", **here)) == 1 + 4 + 1
    assert shown_tokens(chat(client, "d", **here)) == 1 + 6 + 1
    assert shown_tokens(chat(client, "e", system=None, **here)) == 8 + 1
    assert shown_tokens(chat(client, "f", **here)) == 10 + 1


def test_the_template_and_its_variables_stay_until_null_takes_them_away(
    client: httpx.Client, url: str
) -> None:
    options: dict[str, Any] = {"template": "sql_assistant", "variables": {"dialect": "SQLite"}}
    first = chat(client, "a", **options)
    here = {"conversation_id": first["conversation_id"]}
    assert first["template"] == "sql_assistant"
    system = shown_tokens(first)
    second = chat(client, "b", **here)
    assert (second["template"], shown_tokens(second)) == ("sql_assistant", system + 2)
    without = chat(client, "c", template=None, **here)
    assert (without["template"], shown_tokens(without)) == (None, 5)
    assert chat(client, "d", **here)["template"] is None
    setup = audit.conversations(url)[-1].setup
    assert (setup["template"], setup["variables"]) == (None, {})


# ---------------------------------------------------------------- who comes first


@pytest.mark.parametrize("route", [CHAT, STREAM])
def test_the_second_of_two_at_once_is_told_to_wait(
    client: httpx.Client, engine: psutil.Process, url: str, route: str
) -> None:
    name = chat(client)["conversation_id"]
    suspend(engine)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(chat, client, "first", conversation_id=name)
        wait_for(url, name, "generating")
        answer = client.post(route, json={"message": "second", "conversation_id": name})
        engine.resume()
        assert first.result()["message"]["content"] == "first"
    assert (answer.status_code, answer.json()["code"]) == (409, "conversation-busy")
    assert answer.headers["retry-after"] == "1"
    assert len(audit.messages(url, name)) == 4


def test_who_asks_to_wait_is_told_so_and_follows(url: str, empty_models: Path) -> None:
    with (
        served(url, empty_models, stream_patience_seconds=0) as (engine, client),
        ThreadPoolExecutor() as threads,
    ):
        name = chat(client)["conversation_id"]
        body = {"message": "second", "conversation_id": name, "when_busy": "wait"}
        suspend(engine)
        first = threads.submit(chat, client, "first", conversation_id=name)
        wait_for(url, name, "generating")
        with client.stream("POST", STREAM, json=body) as answer:
            text = ""
            for piece in answer.iter_text():
                text += piece
                if "event: queued" in text:
                    engine.resume()
        first.result()
    assert parsed(text)[-1].data["usage"]["prompt_tokens"] == 5
    assert [row.content for row in audit.require_straight(url, name)[::2]] == [
        "hi",
        "first",
        "second",
    ]


def test_who_waited_does_not_take_back_what_another_changed(
    client: httpx.Client, engine: psutil.Process, url: str
) -> None:
    name = chat(client)["conversation_id"]
    suspend(engine)
    waiting = {"conversation_id": name, "when_busy": "wait"}
    with ThreadPoolExecutor() as threads:
        first = threads.submit(chat, client, "first", conversation_id=name)
        wait_for(url, name, "generating")
        changed = threads.submit(chat, client, "changes", system="be brief", **waiting)
        others = [threads.submit(chat, client, "changes nothing", **waiting) for _ in range(3)]
        time.sleep(0.5)
        engine.resume()
        for asked in (first, changed, *others):
            asked.result()
    assert client.get(f"/api/v4/conversations/{name}").json()["system"] == "be brief"


def test_stopped_before_its_first_word(
    client: httpx.Client, engine: psutil.Process, url: str
) -> None:
    name = chat(client, "one")["conversation_id"]
    suspend(engine)
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(streamed, client, "never said", conversation_id=name)
        wait_for(url, name, "generating")
        stopped = client.post(f"/api/v4/conversations/{name}/stop").json()
        events = asked.result()
    engine.resume()
    assert [event.name for event in events] == ["message", "done"]
    assert (events[-1].data["finish_reason"], events[-1].data["usage"]) == ("cancelled", None)
    assert (stopped["message_id"], stopped["status"]) == (events[0].data["message_id"], "stopped")
    assert shown_tokens(chat(client, "two", conversation_id=name)) == 3


def test_ten_that_wait_never_interleave(client: httpx.Client, url: str) -> None:
    name = chat(client, "begin")["conversation_id"]

    def turn(number: int) -> int:
        options = {"conversation_id": name, "when_busy": "wait"}
        if number % 2:
            return shown_tokens(chat(client, f"number {number}", **options))
        tokens: int = streamed(client, f"number {number}", **options)[-1].data["usage"][
            "prompt_tokens"
        ]
        return tokens

    with ThreadPoolExecutor(10) as threads:
        seen = list(threads.map(turn, range(10)))
    way = audit.require_straight(url, name)
    assert sorted(row.content for row in way[2::2]) == [f"number {number}" for number in range(10)]
    assert [row.content for row in way[::2]] == [row.content for row in way[1::2]]
    assert sorted(seen) == [4 + 4 * before for before in range(10)], "each saw all before it"


def test_at_the_end_everything_is_sound(client: httpx.Client, url: str) -> None:
    """The last test of the module: looks at what all of them have left."""
    audit.require_sound(url)
