"""Engines that die or cannot be loaded, as clients see it. The API itself never blinks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import serving
from tests.http.events import parsed

STARTER = Path(__file__).parents[2] / "models" / "starter.gguf"
LONG = {"message": "a " * 400_000}


def engine_of(server: set[psutil.Process]) -> psutil.Process:
    (engine,) = set(psutil.Process().children()) - server
    return engine


@pytest.fixture
def client_and_others(empty_models: object) -> Iterator[tuple[httpx.Client, set[psutil.Process]]]:
    others = set(psutil.Process().children())
    large: dict[str, Any] = {
        "context_length": 10**7,
        "default_max_tokens": 10**7,
        "max_request_bytes": 10**7,
    }
    with serving(models_dir=empty_models, **large) as client:
        client.post("/api/v1/chat", json={"message": "hi"})
        yield client, others


def test_an_engine_killed_in_mid_stream(
    client_and_others: tuple[httpx.Client, set[psutil.Process]],
) -> None:
    client, others = client_and_others
    with client.stream("POST", "/api/v2/chat/stream", json=LONG) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_text()
        text = next(pieces)
        engine_of(others).kill()
        assert client.get("/health/live").status_code == 200
        text += "".join(pieces)
    last = parsed(text)[-1]
    assert (last.name, last.data["code"]) == ("error", "engine-unavailable")
    assert last.data["request_id"] == answer.headers["x-request-id"]
    assert client.post("/api/v1/chat", json={"message": "back again"}).status_code == 200


def test_an_engine_killed_under_a_whole_answer(
    client_and_others: tuple[httpx.Client, set[psutil.Process]],
) -> None:
    client, others = client_and_others
    engine = engine_of(others)
    engine.suspend()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(client.post, "/api/v1/chat", json={"message": "hi"})
        while client.get("/health").json()["models"]["echo"]["waiting"] == 0:
            time.sleep(0.02)
        engine.kill()
        answer = asked.result()
    assert (answer.status_code, answer.json()["code"]) == (503, "engine-unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert client.post("/api/v1/chat", json={"message": "back again"}).status_code == 200


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with one model that no engine can load, and one that is half a file."""
    folder = tmp_path_factory.mktemp("models")
    whole = STARTER.read_bytes()
    (folder / "broken.gguf").write_bytes(whole.replace(b"qwen2", b"qwenX"))
    (folder / "half.gguf").write_bytes(whole[: len(whole) // 2])
    with serving(models_dir=folder, enable_echo=False) as client:
        yield client


@pytest.mark.parametrize("model", ["broken", "half"])
@pytest.mark.parametrize("route", ["/api/v1/chat", "/api/v2/chat/stream"])
def test_a_model_that_cannot_be_loaded(
    broken: httpx.Client, route: str, model: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    answer = broken.post(route, json={"message": "hi", "model": model})
    assert (answer.status_code, answer.json()["code"]) == (409, "model-not-loadable")
    assert str(tmp_path_factory.getbasetemp()) not in answer.text


def test_a_failed_engine_makes_the_server_unwell(broken: httpx.Client) -> None:
    broken.post("/api/v1/chat", json={"message": "hi", "model": "broken"})
    answer = broken.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["models"]["broken"]["state"] == "failed"
    assert broken.get("/health/live").status_code == 200


def test_the_list_tells_which_models_are_no_good(broken: httpx.Client) -> None:
    broken.post("/api/v1/chat", json={"message": "hi", "model": "broken"})
    listed = broken.get("/api/v1/models").json()["models"]
    states = {model["id"]: model["state"] for model in listed}
    assert states == {"broken": "failed", "half": "unusable"}
