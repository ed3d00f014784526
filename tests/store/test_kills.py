"""kill -9 of the server and of its engine, at random moments, under load."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import httpx
import pytest

from tests.selection import matrix
from tests.store import audit
from tests.store.load import Ledger, clients, require_kept
from tests.store.servers import Server, server
from tests.suspending import suspend

pytestmark = pytest.mark.slow

CLIENTS = 8

LIVES = [("sqlite", 1), *matrix(("sqlite", 24), ("postgresql", 3))]
"""In each the engine is killed, then the server: two kills; and then once more in mid-answer."""


def restart(server: Server, url: str) -> None:
    """Start it again; whoever was answering when it died is given up before it serves the API."""
    server.start()
    assert server.asked("/api/v1/models").status_code == 200
    unfinished = audit.answers(url, "generating")
    server.open()
    assert unfinished == []


def live_and_die(server: Server, moments: random.Random) -> int:
    """How many processes were killed."""
    time.sleep(moments.uniform(0, 0.5))
    engines = server.engines()
    for engine in engines:
        engine.kill()
    time.sleep(moments.uniform(0, 0.5))
    server.kill()
    return len(engines) + 1


def die_in_mid_answer(server: Server, url: str) -> int:
    """Kill it when an answer cannot be done any more, because its engine stands still."""
    engines = server.engines()
    while not (unfinished := len(audit.answers(url, "generating"))):
        for engine in engines:
            engine.resume()
        time.sleep(0.02)
        for engine in (engines := server.engines()):
            suspend(engine)
    server.kill()
    for engine in engines:
        engine.kill()
    return unfinished


def require_found(server: Server, ledger: Ledger) -> None:
    """A search by the one word that only this exchange has finds its conversation."""
    with httpx.Client(base_url=f"{server.address()}/api/v4", timeout=60) as client:
        for outcome in ledger.done()[-200:]:
            word = outcome.question.split()[0]
            found = client.get("/conversations", params={"query": word, "limit": 1000}).json()
            names = [one["id"] for one in found["conversations"]]
            assert outcome.conversation_id in names


@pytest.mark.parametrize(("database_url", "lives"), LIVES, indirect=["database_url"])
def test_nothing_is_lost_or_doubled(database_url: str, lives: int, tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    moments = random.Random(seed)
    kills = orphans = 0
    with server(database_url, tmp_path) as one:
        with clients(CLIENTS, one.address, seed) as ledger:
            for _ in range(lives):
                kills += live_and_die(one, moments)
                orphans += len(audit.answers(database_url, "generating"))
                restart(one, database_url)
            orphans += die_in_mid_answer(one, database_url)
            restart(one, database_url)
            done = len(ledger.done())
            while len(ledger.done()) == done:  # it goes on after the last one
                time.sleep(0.02)
        require_kept(database_url, ledger)
        require_found(one, ledger)
    summary = f"{len(ledger.sent)} asked, {len(ledger.done())} done, {len(ledger.failed())} failed"
    print(f"SEED={seed}: {kills} kills, {orphans} answers left unfinished, {summary}")  # noqa: T201
    assert orphans > 0
