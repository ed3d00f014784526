"""Streams that go on at another server, and after a kill -9."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from app.conversations.store.endings import ABANDONED
from app.storage.tables import Message
from tests.http.chatting import WHOLE
from tests.http.resuming import CHAT, STREAM, Copy, asked, events, path_of
from tests.selection import matrix, on_sqlite_daily
from tests.store import audit
from tests.store.databases import connected
from tests.store.resumers import require_same, resumers
from tests.store.servers import Server, server
from tests.store.test_kills import restart
from tests.suspending import suspend

pytestmark = pytest.mark.slow

CLIENTS = 6

ENDLESS = "a " * 490_000
"""The most words that a message may have, so that an answer can be interrupted on any machine."""

KILLS = matrix(("postgresql", 3), ("sqlite", 100))


def client_of(one: Server) -> httpx.Client:
    return httpx.Client(base_url=one.address(), timeout=120)


@pytest.fixture
def two(database_url: str, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Servers on one database."""
    with ExitStack() as stack:
        servers = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            servers.append(stack.enter_context(server(database_url, tmp_path / name)))
        yield servers[0], servers[1]


def suspended(one: Server, copy: Copy, url: str) -> str:
    """Let its engine stand still in mid-answer; what is stored then, which is all of it."""
    for engine in one.engines():
        suspend(engine)
    for _ in range(2):  # the second sign of life begins when nothing more comes
        until_renewed(url, copy)
    stored = row_of(url, copy).content
    assert stored
    return stored


def row_of(url: str, copy: Copy) -> Message:
    """The answer as it is stored."""
    return audit.messages(url, copy.head["conversation_id"])[-1]


def until_renewed(url: str, copy: Copy) -> None:
    """Until its server has given the next sign of life, with the text so far."""
    deadline, before = time.monotonic() + 60, row_of(url, copy).lease_until
    while row_of(url, copy).lease_until == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def nothing_stored(url: str, copy: Copy) -> Iterator[None]:
    """While no server can store more of the answer, as its row is locked."""
    locked = update(Message).where(Message.id == copy.head["message_id"]).values(stopping=False)
    with connected(url) as connection:
        connection.execute(locked)
        yield


@on_sqlite_daily
def test_a_stream_goes_on_at_another_server(two: tuple[Server, Server], database_url: str) -> None:
    one, other = two
    with client_of(one) as here, client_of(other) as there:
        copy = asked(here, ENDLESS, most=3, on_disconnect="continue")
        stored = suspended(one, copy, database_url)
        with there.stream("GET", path_of(copy.head), headers={"Last-Event-ID": copy.last_id}) as it:
            for event in (mine := events(it)):
                copy.take(event)
                if copy.text == stored:
                    break  # all that is stored is there while the engine stands still
            for engine in one.engines():
                engine.resume()
            while copy.text == stored:
                copy.take(next(mine))
            here.post(f"/api/v6/conversations/{copy.head['conversation_id']}/stop")
            for event in mine:
                copy.take(event)
    kept = row_of(database_url, copy)
    assert (copy.text, copy.resets) == (kept.content, 0)
    assert copy.end
    assert (copy.end.name, kept.status) == ("done", "stopped")


@on_sqlite_daily
def test_a_stop_at_another_server_ends_the_stream_there(two: tuple[Server, Server]) -> None:
    one, other = two
    with client_of(one) as here, client_of(other) as there:
        copy = asked(here, ENDLESS, most=3, on_disconnect="continue")
        for engine in one.engines():
            suspend(engine)
        with there.stream("GET", path_of(copy.head)) as it:
            again, mine = Copy(), events(it)
            again.take(next(mine))
            there.post(f"/api/v6/conversations/{copy.head['conversation_id']}/stop")
            for event in mine:
                again.take(event)
        for engine in one.engines():
            engine.resume()
    assert again.end
    assert (again.end.name, again.end.data["finish_reason"]) == ("done", "cancelled")


@on_sqlite_daily
def test_who_had_more_than_was_stored_is_reset_once(database_url: str, tmp_path: Path) -> None:
    body = {"message": ENDLESS, "on_disconnect": "continue"}
    with server(database_url, tmp_path) as one:
        with client_of(one) as client, client.stream("POST", STREAM, json=body) as answer:
            copy, mine = Copy(), events(answer)
            copy.take(next(mine))
            with nothing_stored(database_url, copy):
                stored = row_of(database_url, copy)
                while len(copy.text) <= len(stored.content):
                    copy.take(next(mine))
                one.kill()
        restart(one, database_url)
        with client_of(one) as client:
            copy.resume(client)
            assert (copy.text, copy.resets) == (stored.content, 1)
            assert copy.end
            assert copy.end.name == "error"
            assert copy.end.data["code"] == "answer-failed"
            assert copy.end.data["detail"] == ABANDONED
            again = Copy(head=copy.head)
            again.resume(client)
            assert (again.text, again.resets) == (stored.content, 0)


@on_sqlite_daily
def test_an_engine_that_is_killed_ends_all_streams_with_an_error(
    two: tuple[Server, Server],
) -> None:
    one, other = two
    with client_of(one) as here, client_of(other) as there:
        asker, joined, remote = Copy(), Copy(), Copy()
        body = {"message": ENDLESS, "on_disconnect": "continue"}
        with here.stream("POST", STREAM, json=body) as answer:
            mine = events(answer)
            asker.take(next(mine))
            with (
                here.stream("GET", path_of(asker.head)) as near,
                there.stream("GET", path_of(asker.head)) as far,
            ):
                for engine in one.engines():
                    engine.kill()
                for event in mine:
                    asker.take(event)
                joined.read(near)
                remote.read(far)
    assert asker.end
    assert (asker.end.name, asker.end.data["code"]) == ("error", "engine-unavailable")
    for copy in (joined, remote):
        assert copy.end
        assert (copy.end.name, copy.end.data["code"]) == ("error", "answer-failed")
        assert copy.text == asker.text
        assert copy.end.data["message_id"] == asker.head["message_id"]


@pytest.mark.matrix
def test_what_was_stored_goes_on_without_a_reset(database_url: str, tmp_path: Path) -> None:
    with server(database_url, tmp_path) as one:
        with client_of(one) as client:
            copy = asked(client, ENDLESS, most=3, on_disconnect="continue")
            stored = suspended(one, copy, database_url)
        engines = one.engines()
        one.kill()
        for engine in engines:  # one that stands still does not hear that its server has gone
            engine.kill()
        restart(one, database_url)
        with client_of(one) as client:
            copy.resume(client)
    assert (copy.text, copy.resets) == (stored, 0)
    assert copy.end
    assert copy.end.name == "error"


@on_sqlite_daily
def test_an_answer_that_is_finished_survives_a_restart(database_url: str, tmp_path: Path) -> None:
    with server(database_url, tmp_path) as one:
        with client_of(one) as client:
            copy = asked(client, "one two three")
        one.kill()
        restart(one, database_url)
        with client_of(one) as client:
            again = Copy(head=copy.head)
            again.resume(client)
    assert again.text == "one two three"


@on_sqlite_daily
def test_a_server_that_ends_finishes_its_answers(database_url: str, tmp_path: Path) -> None:
    with server(database_url, tmp_path) as one:
        with client_of(one) as client:
            copy = asked(client, WHOLE, most=3, on_disconnect="continue")
            made = client.post(CHAT, json={"message": "one two", "background": True}).json()
        one.end()
        rows = {row.id: row for row in audit.answers(database_url)}
        for ids, text in ((copy.head, WHOLE), (made, "one two")):
            row = rows[ids["message_id"]]
            assert (row.status, row.content) == ("complete", text)


@pytest.mark.matrix
def test_what_a_server_cannot_finish_has_failed(database_url: str, tmp_path: Path) -> None:
    with server(database_url, tmp_path, ENGINE_STALL_SECONDS="600") as one:
        with client_of(one) as client:
            copy = asked(client, ENDLESS, most=3, on_disconnect="continue")
            stored = suspended(one, copy, database_url)
        one.end()
        row = row_of(database_url, copy)
        assert (row.status, row.content, row.error) == ("failed", stored, ABANDONED)
        restart(one, database_url)
        with client_of(one) as client:
            copy.resume(client)
    assert (copy.text, copy.resets) == (stored, 0)


@pytest.mark.parametrize(("database_url", "kills"), KILLS, indirect=["database_url"])
def test_nothing_is_lost_or_doubled_in_silence(
    database_url: str, kills: int, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    moments = random.Random(seed)
    with server(database_url, tmp_path) as one:
        with resumers(CLIENTS, one.address, seed) as ledger:
            done = 0
            while done < kills or not ledger.reconnects:
                done += 1
                time.sleep(moments.uniform(0.1, 1.5))
                while not audit.answers(database_url, "generating"):
                    time.sleep(0.01)
                one.kill()
                restart(one, database_url)
        require_same(database_url, ledger)
    resets = sum(outcome.copy.resets for outcome in ledger.outcomes)
    summary = f"{len(ledger.outcomes)} answers, {ledger.reconnects} reconnects, {resets} resets"
    print(f"SEED={seed}: {done} kills, {summary}, {ledger.unknown} without an id")  # noqa: T201
