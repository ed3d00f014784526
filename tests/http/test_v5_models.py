"""Models over HTTP: described, planned, loaded, unloaded."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import serving
from tests.http.events import parsed
from tests.http.in_hand import until_busy
from tests.provider.asking import STARTER
from tests.suspending import suspend

pytestmark = pytest.mark.slow

V5 = "/api/v5/models"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Three copies of the starter, of which two may be loaded; "b" is the default."""
    folder = tmp_path_factory.mktemp("models")
    for name in "abc":
        (folder / f"{name}.gguf").write_bytes(STARTER.read_bytes())
    with serving(
        models_dir=folder,
        sllm_model_path=folder / "b.gguf",
        model_aliases=("mine=a",),
        enable_echo=False,
        kv_cache_mb=8,
        prefix_cache_mb=8,
    ) as client:
        yield client


def test_a_model_is_described(server: httpx.Client) -> None:
    model = server.get(f"{V5}/a").json()
    assert (model["id"], model["format"], model["aliases"]) == ("a", "gguf", ["mine"])
    assert (model["architecture"], model["licence"], model["context_length"]) == (
        "qwen2",
        "mit",
        4096,
    )
    assert 1_600_000 < model["parameters"] < 1_800_000
    assert "<|im_start|>" in model["chat_template"]
    assert model["sha256"] == hashlib.sha256(STARTER.read_bytes()).hexdigest()
    assert model["problem"] is None
    assert server.get(f"{V5}/mine").json()["id"] == "a"


def test_the_list_has_every_model(server: httpx.Client) -> None:
    assert [one["id"] for one in server.get(V5).json()["models"]] == ["a", "b", "c"]
    assert "aliases" not in server.get("/api/v4/models").json()["models"][0]


def test_loading_is_watched_and_unloading_gives_everything_back(server: httpx.Client) -> None:
    events = parsed(server.post(f"{V5}/a/load").text)
    assert events[0].name == "message"
    assert any(event.name == "loading" for event in events)
    last, model = events[-1].name, events[-1].data
    assert (last, model["id"], model["state"]) == ("done", "a", "ready")
    assert model["memory"]["parts"]["weights"] == STARTER.stat().st_size
    assert model["memory"]["measured_bytes"] > STARTER.stat().st_size
    again = parsed(server.post(f"{V5}/a/load").text)
    assert [event.name for event in again] == ["message", "done"]
    for _ in range(2):
        assert server.delete(f"{V5}/a/load").status_code == 204
    assert server.get(f"{V5}/a").json()["state"] == "unloaded"
    assert server.get(f"{V5}/a").json()["memory"] is None


def test_a_model_that_is_answering_is_not_unloaded(empty_models: Path) -> None:
    before = psutil.Process().children()
    with serving(models_dir=empty_models) as client, ThreadPoolExecutor() as others:
        client.post("/api/v5/chat", json={"message": "hi"})
        (engine,) = set(psutil.Process().children()) - set(before)
        suspend(engine)
        asked = others.submit(client.post, "/api/v5/chat", json={"message": "hi"})
        until_busy(client)
        refused = client.delete(f"{V5}/echo/load")
        engine.resume()
        assert (refused.status_code, refused.json()["code"]) == (409, "model-in-use")
        assert asked.result().status_code == 200


def test_a_plan_tells_who_would_leave_and_changes_nothing(server: httpx.Client) -> None:
    for model in "ab":
        server.post("/api/v1/chat", json={"message": "hi", "model": model})
    plan = server.post(f"{V5}/c/plan", json={}).json()
    assert (plan["fits"], plan["loaded"], plan["evict"], plan["wait"]) == (
        True,
        False,
        ["a"],
        False,
    )
    assert plan["ram_bytes"] == sum(plan["parts"].values())
    assert plan["ram_taken_bytes"] > 50 * 2**20
    assert server.post(f"{V5}/b/plan").json()["loaded"]
    longer = server.post(f"{V5}/c/plan", json={"kv_cache_mb": 16}).json()
    assert longer["parts"]["kv"] == 2 * plan["parts"]["kv"]
    huge = server.post(f"{V5}/c/plan", json={"prefix_cache_mb": 2**20}).json()
    assert not huge["fits"]
    assert "MEMORY_BUDGET_MB" in huge["reason"]
    states = {one["id"]: one["state"] for one in server.get(V5).json()["models"]}
    assert states == {"a": "ready", "b": "ready", "c": "unloaded"}


@pytest.mark.parametrize("method_path", ["GET ", "POST /load", "DELETE /load", "POST /plan"])
def test_an_unknown_model_is_404(server: httpx.Client, method_path: str) -> None:
    method, path = method_path.split(" ")
    answer = server.request(method, f"{V5}/nobody{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "model-not-found")


def test_switching_between_two_loaded_models_loads_nothing(server: httpx.Client) -> None:
    def switch(times: int) -> None:
        for model in "ab" * times:
            server.post("/api/v1/chat", json={"message": "hi", "model": model, "max_tokens": 4})

    switch(1)
    before = loads(server)
    switch(10)
    assert loads(server) == before


def loads(server: httpx.Client) -> list[str]:
    lines = server.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("sllm_model_load_seconds_count{")]
    assert len(found) >= 2
    return found


def test_many_clients_over_three_models(server: httpx.Client) -> None:
    answers: list[str] = []

    def ask(model: str) -> None:
        body = {"message": "Hello!", "model": model, "temperature": 0}
        answers.append(json.dumps(server.post("/api/v1/chat", json=body).json()["message"]))

    threads = [threading.Thread(target=ask, args=("abc"[n % 3],)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    assert len(set(answers)) == 1
