"""Engines that die or cannot be loaded, as clients see it. The API itself never blinks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import serving
from tests.http.events import parsed
from tests.http.in_hand import until_busy
from tests.provider.scripted import make
from tests.repeating import repeating
from tests.suspending import suspend

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


@contextmanager
def watched(client: httpx.Client) -> Iterator[list[int]]:
    """Ask for a sign of life all the time; the statuses that came."""
    seen: list[int] = []
    with (
        httpx.Client(base_url=client.base_url, timeout=60) as other,
        repeating(lambda: seen.append(other.get("/health/live").status_code), pause=0.005),
    ):
        yield seen


def test_the_starter_killed_in_mid_stream_comes_back_and_the_api_never_blinks() -> None:
    others = set(psutil.Process().children())
    question = {"message": "What are you?", "temperature": 0}
    options: dict[str, Any] = {"enable_echo": False, "stream_patience_seconds": 0}
    with serving(models_dir=STARTER.parent, **options) as client, watched(client) as seen:
        before = client.post("/api/v1/chat", json=question).json()["message"]
        suspend(engine := engine_of(others))  # or its answer might end before
        with client.stream("POST", "/api/v2/chat/stream", json=question) as answer:
            until_busy(client)
            engine.kill()
            text = "".join(answer.iter_text())
        after = client.post("/api/v1/chat", json=question).json()["message"]
    events = parsed(text)
    assert (events[0].name, events[-1].name) == ("message", "error")
    assert events[-1].data["code"] == "engine-unavailable"
    assert sum(event.name in {"done", "error"} for event in events) == 1
    assert after == before
    assert set(seen) == {200}


def test_an_engine_killed_under_a_whole_answer(
    client_and_others: tuple[httpx.Client, set[psutil.Process]],
) -> None:
    client, others = client_and_others
    engine = engine_of(others)
    suspend(engine)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(client.post, "/api/v1/chat", json={"message": "hi"})
        until_busy(client)
        engine.kill()
        answer = asked.result()
    assert (answer.status_code, answer.json()["code"]) == (503, "engine-unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert client.post("/api/v1/chat", json={"message": "back again"}).status_code == 200


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with one model whose template is broken, and one that is half a file."""
    folder = tmp_path_factory.mktemp("models")
    whole = STARTER.read_bytes()
    make(folder / "broken.gguf", template="{% if %}")
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


def test_a_file_that_no_engine_loads_leaves_the_server_well(broken: httpx.Client) -> None:
    broken.post("/api/v1/chat", json={"message": "hi", "model": "broken"})
    answer = broken.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["models"]["broken"]["state"] == "failed"
    assert broken.get("/health/live").status_code == 200


def test_the_list_tells_which_models_are_no_good(broken: httpx.Client) -> None:
    broken.post("/api/v1/chat", json={"message": "hi", "model": "broken"})
    listed = broken.get("/api/v1/models").json()["models"]
    states = {model["id"]: model["state"] for model in listed}
    assert states == {"broken": "failed", "half": "unusable"}
