"""Idempotency keys over restarts, kill -9 and several servers on one database."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.selection import on_sqlite_daily
from tests.store import audit
from tests.store.databases import execute
from tests.store.servers import Server, server
from tests.suspending import suspend

pytestmark = [pytest.mark.slow, on_sqlite_daily]

STREAM = "/api/v4/chat/stream"
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/chat": {"message": "one two three"},
    "/v1/chat/completions": {
        "model": "echo",
        "messages": [{"role": "user", "content": "one two three"}],
        "stream": True,
    },
    STREAM: {"message": "one two three"},
}
AT_ONCE = {"STREAM_PATIENCE_SECONDS": "0"}
"""A stream says 200 before the engine does."""


def posted(one: Server, path: str) -> httpx.Response:
    key = {"Idempotency-Key": f"once-{path}"}
    return httpx.post(f"{one.address()}{path}", json=BODIES[path], headers=key, timeout=60)


def sent(one: Server) -> httpx.Response:
    """The answer to the one request of a test."""
    return posted(one, STREAM)


def replayed(answer: httpx.Response) -> bool:
    return "idempotent-replayed" in answer.headers


def die_in_mid_answer(one: Server) -> None:
    """Kill it when an answer has begun that cannot end, because its engine stands still."""
    warm = httpx.post(f"{one.address()}/api/v1/chat", json={"message": "hi"}, timeout=60)
    assert warm.status_code == 200
    engines = one.engines()
    for engine in engines:
        suspend(engine)
    address, key = f"{one.address()}{STREAM}", {"Idempotency-Key": f"once-{STREAM}"}
    with httpx.stream("POST", address, json=BODIES[STREAM], headers=key, timeout=60) as answer:
        assert answer.status_code == 200
        one.kill()
    for engine in engines:
        engine.kill()


def test_outcomes_outlive_their_server(database_url: str, tmp_path: Path) -> None:
    with server(database_url, tmp_path) as one:
        before = {path: posted(one, path) for path in BODIES}
        one.kill()
        one.start()
        one.open()
        after = {path: posted(one, path) for path in BODIES}
    for path, first in before.items():
        assert first.status_code == 200, first.text
        assert after[path].content == first.content
        assert after[path].headers["content-type"] == first.headers["content-type"]
        assert (replayed(first), replayed(after[path])) == (False, True)
    assert len(audit.answers(database_url)) == 1


def test_after_a_kill_in_mid_answer_the_request_runs_again_at_once(
    database_url: str, tmp_path: Path
) -> None:
    with server(database_url, tmp_path, **AT_ONCE) as one:
        die_in_mid_answer(one)
        one.start()
        one.open()
        answer = sent(one)
    assert answer.status_code == 200, answer.text[:200]
    assert not replayed(answer)


def test_what_a_killed_server_ran_blocks_another_one_only_until_its_lease_ends(
    database_url: str, tmp_path: Path
) -> None:
    with (
        server(database_url, tmp_path, **AT_ONCE) as one,
        server(database_url, tmp_path) as other,
    ):
        assert other.asked("/api/v1/models").status_code == 200  # it knows that it is not alone
        die_in_mid_answer(one)
        execute(database_url, "UPDATE idempotency_keys SET lease_until = lease_until + 3600000")
        waiting = sent(other)
        assert waiting.status_code == 409, waiting.text[:200]
        assert waiting.headers["retry-after"] == "1"
        execute(database_url, "UPDATE idempotency_keys SET lease_until = 1")
        answer = sent(other)
    assert answer.status_code == 200, answer.text[:200]
    assert not replayed(answer)


def test_fifty_requests_to_two_servers_are_one(database_url: str, tmp_path: Path) -> None:
    def ask(one: Server) -> httpx.Response:
        deadline = time.monotonic() + 60
        while (answer := sent(one)).status_code == 409:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return answer

    with (
        server(database_url, tmp_path) as one,
        server(database_url, tmp_path) as other,
        ThreadPoolExecutor(50) as pool,
    ):
        answers = list(pool.map(ask, [one, other] * 25))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum(not replayed(answer) for answer in answers) == 1
    assert len(audit.answers(database_url)) == 1
