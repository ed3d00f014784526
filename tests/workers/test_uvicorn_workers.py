"""Several processes that uvicorn starts, and one that it starts again and again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.http.test_metrics import scraped, value
from tests.setup.test_uvicorn import Uvicorn, uvicorn
from tests.workers.serving import ENGINE, MODEL_SERVER, Family, command_of, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.matrix]

SHORT = {"message": "hi", "model": "echo"}
WORKERS = 2


def workers(server: Uvicorn) -> list[psutil.Process]:
    """The processes that uvicorn has spawned."""
    children = psutil.Process(server.process.pid).children()
    return [one for one in children if "spawn_main" in " ".join(command_of(one))]


def answered(client: httpx.Client) -> float:
    return value(scraped(client), "sllm_http_requests_total", method="POST", status="200")


def ask(server: Uvicorn) -> httpx.Response:
    return httpx.post(f"{server.address}/api/v1/chat", json=SHORT, timeout=60)


def test_workers_of_uvicorn_share_the_models_and_leave_nothing(tmp_path: Path) -> None:
    family = Family()
    with uvicorn(tmp_path, "--workers", str(WORKERS), **family.environment) as server:
        server.started(WORKERS)
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(ask, [server] * 32))
        assert {answer.status_code for answer in answers} == {200}
        assert len(workers(server)) == WORKERS
        assert len(family.running(ENGINE)) == 1
        (models,) = family.running(MODEL_SERVER)
        with httpx.Client(base_url=server.address, timeout=60) as client:
            wait_until(lambda: answered(client) == 32)
        first = workers(server)[0]
        first.kill()
        wait_until(lambda: len(workers(server)) == WORKERS and first not in workers(server))
        server.started(WORKERS + 1)
        assert family.running(MODEL_SERVER) == [models]
        assert ask(server).status_code == 200
    family.require_gone()
    assert "Traceback" not in server.log()


def test_a_reload_keeps_the_models_and_leaves_nothing_in_the_end(tmp_path: Path) -> None:
    family = Family()
    source = tmp_path / "changed.py"
    source.touch()
    chosen = {"ENGINE_RUNTIME": "shared", **family.environment}
    with uvicorn(tmp_path, "--reload", **chosen) as server:
        server.started(1)
        before = family.running(MODEL_SERVER), family.running(ENGINE)
        source.write_text("changed = True\n")
        server.started(2)
        assert ask(server).status_code == 200
        assert (family.running(MODEL_SERVER), family.running(ENGINE)) == before
        assert [len(found) for found in before] == [1, 1]
    family.require_gone()
    assert "Traceback" not in server.log()


def test_local_models_in_workers_of_uvicorn_are_refused(tmp_path: Path) -> None:
    family = Family()
    chosen = {"ENGINE_RUNTIME": "local", **family.environment}
    with uvicorn(tmp_path, "--workers", str(WORKERS), **chosen) as server:
        server.process.wait(60)
    assert "ENGINE_RUNTIME=local: 2 processes would each load the models." in server.log()
    family.require_gone()
