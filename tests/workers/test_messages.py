"""What one worker is told and another one has to know."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.http.in_hand import until_busy, until_idle
from tests.http.test_metrics import scraped, value
from tests.http.test_v5_pull import HELD, LARGE, PULL, STARTER, begun, ended, look
from tests.mcp.wire import INITIALIZE, legacy, messages
from tests.provider.hub_server import REPO, Hub
from tests.provider.hub_server import serving as hub_serving
from tests.suspending import standing_still
from tests.workers.serving import LIMIT, Served, serving, wait_until

pytestmark = pytest.mark.slow

SHORT = {"message": "hi", "model": "echo"}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with hub_serving(Hub({})) as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("workers")
    with serving(folder, HF_ENDPOINT=hub.endpoint, MODELSCOPE_ENDPOINT=hub.endpoint) as one:
        one.wait_until_ready()
        yield one


@pytest.fixture
def clients(served: Served) -> Iterator[list[httpx.Client]]:
    served.wait_until_whole()
    with served.client_of_each() as found:
        yield found


def engine_of(served: Served, client: httpx.Client) -> psutil.Process:
    """The engine, which is loaded again if another test has killed it."""
    assert client.post("/api/v1/chat", json=SHORT).status_code == 200
    (engine,) = served.engines()
    return engine


def test_a_running_answer_is_stopped_from_another_worker(
    served: Served, clients: list[httpx.Client]
) -> None:
    first, second = clients
    engine = engine_of(served, second)
    with ThreadPoolExecutor(1) as thread, standing_still(engine):
        asked = thread.submit(first.post, "/api/v4/chat", json=SHORT)
        until_busy(second)
        (found,) = second.get("/api/v4/conversations?limit=1").json()["conversations"]
        stopped = second.post(f"/api/v4/conversations/{found['id']}/stop")
        assert stopped.status_code == 200, stopped.text
        assert stopped.json()["status"] == "stopped"
        assert asked.result().json()["finish_reason"] == "cancelled"


def test_an_agent_cancels_its_call_through_another_worker(
    served: Served, clients: list[httpx.Client]
) -> None:
    first, second = clients
    engine = engine_of(served, second)
    session = {"mcp-session-id": first.post("/mcp", **INITIALIZE).headers["mcp-session-id"]}
    second.post("/mcp", **INITIALIZE)
    asked = legacy("tools/call", name="chat", arguments=SHORT)
    headers = asked["headers"] | session
    note: dict[str, Any] = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 1},
    }
    with ThreadPoolExecutor(1) as thread, standing_still(engine):
        call = thread.submit(first.post, "/mcp", json=asked["json"], headers=headers)
        until_busy(second)
        others = second.post("/mcp", json=note, headers=headers | {"mcp-session-id": "another"})
        assert others.status_code == 202
        assert second.post("/mcp", json=note, headers=headers).status_code == 202
        until_idle(second)
        assert "cancelled" in messages(call.result().text)[-1]["error"]["message"]


def test_a_download_is_one_for_all_workers(hub: Hub, clients: list[httpx.Client]) -> None:
    first, second = clients
    hub.files, hub.pace, hub.hold_after = {"small.gguf": LARGE}, 0.0, HELD
    location = begun(first)
    assert begun(second) == location
    listed = [client.get(PULL).json() for client in clients]
    assert listed[0]["jobs"][0]["id"] == listed[1]["jobs"][0]["id"]
    assert second.delete(location).is_success
    assert look(first, location)["state"] == "cancelled"
    assert ended(second, location)["state"] == "cancelled"


@pytest.mark.matrix
def test_the_model_of_the_setting_is_fetched_once(tmp_path: Path) -> None:
    with (
        hub_serving(Hub({"small.gguf": STARTER})) as hub,
        serving(tmp_path, HF_ENDPOINT=hub.endpoint, PULL=REPO) as served,
    ):
        served.wait_until_ready()
        assert "small is ready." in served.lines
        with served.client_of_each() as clients:
            for client in clients:
                wait_until(partial(is_well, client))
                assert client.get("/health").json()["pull"]["state"] == "done"
                answer = client.post("/api/v1/chat", json={"message": "hi", "model": "small"})
                assert answer.status_code == 200, answer.text
        assert len(hub.downloads) == 1


def is_well(client: httpx.Client) -> bool:
    return client.get("/health").status_code == 200


def test_figures_are_sums_that_never_go_back(served: Served, clients: list[httpx.Client]) -> None:
    first, second = clients
    before = answered(first)
    for client in clients:
        for _ in range(5):
            client.get("/health/live")
    wait_until(lambda: answered(first) >= before + 10)
    wait_until(lambda: answered(second) >= before + 10)
    one_process = psutil.Process(served.workers()[0].pid).memory_info().rss
    found = scraped(second)
    assert value(found, "process_resident_memory_bytes") > 1.5 * one_process
    counted, used = answered(second), value(found, "process_cpu_seconds_total")
    killed = served.workers()[0]
    killed.kill()
    killed.wait(LIMIT)
    wait_until(lambda: len(served.workers()) == 2)
    assert answered(second) >= counted
    served.model_server().kill()
    wait_until(partial(is_well, second))
    assert answered(second) >= counted
    assert value(scraped(second), "process_cpu_seconds_total") >= used


def answered(client: httpx.Client) -> float:
    return value(scraped(client), "sllm_http_requests_total", method="GET", status="200")
