"""Several workers, one set of models."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.conftest import link_models
from tests.http.test_metrics import scraped, value
from tests.workers.serving import Served, serving, wait_until

pytestmark = pytest.mark.slow

MODELS = ("echo", "starter")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("workers")
    link_models(folder, "starter.gguf")
    with serving(folder, workers=4, DEFAULT_CHAT_MODEL="echo") as one:
        one.wait_until_ready()
        yield one


@pytest.fixture(scope="module")
def clients(served: Served) -> Iterator[list[httpx.Client]]:
    with served.client_of_each() as found:
        yield found


def ask(client: httpx.Client, model: str) -> int:
    body = {"message": "hi", "model": model, "max_tokens": 4}
    return client.post("/api/v1/chat", json=body).status_code


def test_the_addresses_and_the_model_are_printed_once(served: Served) -> None:
    assert sum("Start here" in line for line in served.lines) == 1
    assert served.lines.count("echo is ready.") == 1


def test_each_model_is_loaded_once(served: Served, clients: list[httpx.Client]) -> None:
    with ThreadPoolExecutor(len(clients)) as threads:
        for model in MODELS:
            asked = list(threads.map(ask, clients, [model] * len(clients)))
            assert asked == [200] * len(clients)
    assert len(served.engines()) == len(MODELS)
    for client in clients:
        found = scraped(client)
        loads = [value(found, "sllm_model_load_seconds_count", model=one) for one in MODELS]
        assert loads == [1] * len(MODELS)


def test_all_workers_tell_the_same_of_the_models(clients: list[httpx.Client]) -> None:
    ask(clients[0], "starter")
    for client in clients:
        found = client.get("/health").json()
        assert (found["status"], found["model_server"]) == ("ok", "ok")
        assert found["models"]["starter"]["state"] == "ready"


def test_a_model_is_unloaded_for_all(served: Served, clients: list[httpx.Client]) -> None:
    for client in clients:
        assert ask(client, "starter") == 200
    clients[1].delete("/api/v5/models/starter/load").raise_for_status()
    assert len(served.engines()) == 1
    for client in clients:
        wait_until(partial(is_unloaded, client, "starter"))


def is_unloaded(client: httpx.Client, model: str) -> bool:
    listed = client.get("/api/v5/models").json()["models"]
    return [one["state"] for one in listed if one["id"] == model] == ["unloaded"]
