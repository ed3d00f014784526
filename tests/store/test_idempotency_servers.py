"""Idempotency keys over restarts, kill -9 and several servers on one database."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.chatting import LONG
from tests.selection import on_sqlite_daily
from tests.store import audit
from tests.store.databases import execute
from tests.store.servers import Server, server

pytestmark = [pytest.mark.slow, on_sqlite_daily]

KEY = {"Idempotency-Key": "once"}
STREAM = "/api/v4/chat/stream"


def sent(one: Server, path: str = STREAM, message: str = "one two three") -> httpx.Response:
    address = f"{one.address()}{path}"
    return httpx.post(address, json={"message": message}, headers=KEY, timeout=60)


def replayed(answer: httpx.Response) -> bool:
    return "idempotent-replayed" in answer.headers


def begin(one: Server) -> None:
    """Read the beginning of a long answer, and kill the server in its middle."""
    address = f"{one.address()}{STREAM}"
    with httpx.stream("POST", address, json={"message": LONG}, headers=KEY, timeout=60) as answer:
        pieces = answer.iter_text()
        text = next(pieces)
        while "event: delta" not in text:
            text += next(pieces)
        one.kill()


@pytest.mark.parametrize("path", ["/api/v1/chat", "/v1/chat/completions", STREAM])
def test_an_outcome_outlives_its_server(database_url: str, tmp_path: Path, path: str) -> None:
    body: dict[str, Any] = {"message": "one two three"}
    if path.startswith("/v1"):
        body = {"model": "echo", "messages": [{"role": "user", "content": "one"}], "stream": True}
    with server(database_url, tmp_path) as one:
        answers = []
        for _ in range(2):
            answers.append(httpx.post(f"{one.address()}{path}", json=body, headers=KEY))
            one.kill()
            one.start()
            one.open()
        first, second = answers
    assert first.status_code == 200, first.text
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert (replayed(first), replayed(second)) == (False, True)
    assert len(audit.answers(database_url)) == (path == STREAM)


def test_after_a_kill_in_mid_answer_the_request_runs_again_at_once(
    database_url: str, tmp_path: Path
) -> None:
    with server(database_url, tmp_path) as one:
        begin(one)
        one.start()
        one.open()
        answer = sent(one)
    assert answer.status_code == 200, answer.text[:200]
    assert not replayed(answer)


def test_what_a_killed_server_ran_blocks_another_one_only_until_its_lease_ends(
    database_url: str, tmp_path: Path
) -> None:
    with server(database_url, tmp_path) as one, server(database_url, tmp_path) as other:
        assert other.asked("/api/v1/models").status_code == 200  # it knows that it is not alone
        begin(one)
        waiting = sent(other, message=LONG)
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
