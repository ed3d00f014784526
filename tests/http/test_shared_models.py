"""Two servers that share the models, downloads and checksums of one model server."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.provider.hub_server import REPO, Hub
from tests.provider.hub_server import serving as hub_serving
from tests.provider.model_server.processes import end_servers, servers
from tests.provider.pulling import CHUNK
from tests.suspending import suspend

STARTER = (Path(__file__).parents[2] / "models" / "starter.gguf").read_bytes()
PULL = "/api/v5/models/pull"
GUARD_SECONDS = 60

pytestmark = pytest.mark.slow


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_serving(Hub({"small.gguf": STARTER})) as running:
        yield running


@pytest.fixture(autouse=True)
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of sockets for one test. No model server is left behind."""
    folder = tempfile.mkdtemp(prefix="ms-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    yield
    end_servers()
    shutil.rmtree(folder)


def settings(hub: Hub, models: Path, **more: Any) -> dict[str, Any]:
    return {"models_dir": models, "hf_endpoint": hub.endpoint, "engine_runtime": "shared"} | more


@pytest.fixture
def two(hub: Hub, tmp_path: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    given = settings(hub, tmp_path)
    with serving(**given) as one, serving(**given) as other:
        yield one, other


def asked(client: httpx.Client, model: str = "echo") -> httpx.Response:
    return client.post("/api/v5/chat", json={"message": "hello there", "model": model})


def model_states(client: httpx.Client) -> dict[str, str]:
    models = client.get("/health").json()["models"]
    return {name: model["state"] for name, model in models.items()}


def until(condition: Any) -> Any:
    deadline = time.monotonic() + GUARD_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_models_are_loaded_and_unloaded_for_both(two: tuple[httpx.Client, httpx.Client]) -> None:
    one, other = two
    assert asked(one).json()["message"]["content"] == "hello there"
    assert model_states(other) == {"echo": "ready"}
    assert asked(other).status_code == 200
    (server,) = servers()
    assert len(server.children()) == 1
    assert other.delete("/api/v5/models/echo/load").status_code == 204
    assert model_states(one) == {}
    assert other.get("/api/v5/models/echo").json()["state"] == "unloaded"


def test_a_killed_model_server_is_a_503_and_comes_back(
    two: tuple[httpx.Client, httpx.Client],
) -> None:
    one, other = two
    assert asked(one).status_code == 200
    (server,) = servers()
    suspend(server)
    assert other.get("/health").status_code == 503
    server.kill()
    for client in two:
        until(lambda client=client: asked(client).status_code == 200)
        assert client.get("/health").status_code == 200
    assert [one.pid for one in servers()] != [server.pid]


def test_a_download_is_one_for_both(two: tuple[httpx.Client, httpx.Client], hub: Hub) -> None:
    one, other = two
    hub.hold_after = CHUNK
    begun = one.post(PULL, json={"name": REPO})
    assert begun.status_code == 202, begun.text
    location = begun.headers["location"]
    again = other.post(PULL, json={"name": REPO})
    assert again.headers["location"] == location
    until(lambda: other.get(location).json()["state"] == "running")
    hub.carry_on.set()
    until(lambda: other.get(location).json()["state"] == "done")
    assert [job["state"] for job in one.get(PULL).json()["jobs"]] == ["done"]
    for client in two:
        assert asked(client, "small").status_code == 200
    checksums = {client.get("/api/v5/models/small").json()["sha256"] for client in two}
    assert len(checksums) == 1
    assert None not in checksums


def test_a_download_is_cancelled_by_whoever_is_asked(
    two: tuple[httpx.Client, httpx.Client], hub: Hub
) -> None:
    one, other = two
    hub.hold_after = CHUNK
    location = one.post(PULL, json={"name": REPO}).headers["location"]
    assert other.delete(location).json()["state"] == "cancelled"
    assert one.get(location).json()["state"] == "cancelled"
    missing = one.get(f"{PULL}/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "pull-not-found")
    unknown = other.post(PULL, json={"name": "someone/another"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "hub-model-not-found")


def test_the_model_to_pull_is_fetched_once(hub: Hub, tmp_path: Path) -> None:
    hub.hold_after = CHUNK
    given = settings(hub, tmp_path, pull=REPO)
    with serving(**given) as one, serving(**given) as other:
        for client in (one, other):
            until(lambda client=client: client.get("/health").json()["status"] == "pulling")
        hub.carry_on.set()
        for client in (one, other):
            found = until(
                lambda client=client: (
                    (health := client.get("/health").json())["status"] == "ok" and health["pull"]
                )
            )
            assert (found["state"], found["completed"]) == ("done", len(STARTER))
            assert asked(client, "small").status_code == 200
    assert sum(path.endswith("small.gguf") for path in map(str, hub.asked)) == 1
