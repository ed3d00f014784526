"""kill -9 of a worker, the model server or an engine, at random moments, under load."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.store import audit
from tests.store.load import Ledger, clients, require_kept
from tests.suspending import suspend
from tests.workers.serving import Served, serving, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.matrix]

CLIENTS = 8
WORKERS = 4
KINDS = ("worker", "model server", "engine")

KILLS = [("postgresql", 9), ("sqlite", 50)]
"""How many processes are killed in turn; what comes of each kind is in ``test_accidents``."""


def victims(served: Served, kind: str) -> list[psutil.Process]:
    """Those that run now; none while they are being started again."""
    if kind == "worker":
        return served.workers()
    return served.engines() if kind == "engine" else served.model_servers()


def kill_one(served: Served, kind: str, chance: random.Random) -> None:
    with suppress(psutil.NoSuchProcess):  # it was just ending
        chance.choice(wait_until(lambda: victims(served, kind))).kill()


def wait_for_more(ledger: Ledger) -> None:
    """Answers go on, at least one for each client."""
    done = len(ledger.done())
    wait_until(lambda: len(ledger.done()) >= done + CLIENTS)


@pytest.mark.parametrize(("database_url", "kills"), KILLS, indirect=["database_url"])
def test_nothing_is_lost_or_doubled(database_url: str, kills: int, tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    chance = random.Random(seed)
    large = {"CONTEXT_LENGTH": "10000000", "DEFAULT_MAX_TOKENS": "10000000", "LOG_LEVEL": "ERROR"}
    with serving(tmp_path, WORKERS, DATABASE_URL=database_url, **large) as served:
        served.wait_until_ready()
        with clients(CLIENTS, lambda: served.address, seed) as ledger:
            for number in range(kills):
                wait_for_more(ledger)
                time.sleep(chance.uniform(0, 0.5))
                kill_one(served, KINDS[number % len(KINDS)], chance)
            wait_for_more(ledger)
        wait_until(lambda: not audit.answers(database_url, "generating"))
        served.wait_until_whole()
        assert "Traceback" not in served.log()
    require_kept(database_url, ledger)
    assert ledger.statuses <= {200, 503}
    summary = f"{len(ledger.sent)} asked, {len(ledger.done())} done, {len(ledger.failed())} failed"
    refused = f"{len(ledger.refused)} refused, {ledger.cut_off} cut off"
    print(f"SEED={seed}: {kills} kills, {summary}, {refused}")  # noqa: T201


def test_what_a_killed_server_left_unfinished_is_failed_at_the_next_start(
    database_url: str, tmp_path: Path
) -> None:
    """By the first worker, which is alone; the others do not take the answers for abandoned."""
    with serving(tmp_path, 2, DATABASE_URL=database_url) as served:
        served.wait_until_ready()
        (engine,) = served.engines()
        suspend(engine)
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(ask, served.address)
            wait_until(lambda: audit.answers(database_url, "generating"))
            kill_all(served)
            assert isinstance(asked.exception(), httpx.TransportError)
    assert len(audit.answers(database_url, "generating")) == 1
    with serving(tmp_path, 2, DATABASE_URL=database_url) as served:
        served.wait_until_ready()
        wait_until(lambda: audit.answers(database_url, "failed"))
        assert len(audit.answers(database_url, "failed")) == 1
        assert ask(served.address).is_success
    audit.require_sound(database_url)


def kill_all(served: Served) -> None:
    """The parent first, which would start others; the engine last, whose end would be told."""
    workers = served.workers()
    served.process.kill()
    for worker in workers:
        worker.kill()
    served.family.kill()


def ask(address: str) -> httpx.Response:
    question = {"message": "hi", "model": "echo"}
    return httpx.post(f"{address}/api/v4/chat", json=question, timeout=60)
