"""PULL=name: the model is fetched once, while the server answers and says that it is not ready."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.provider.hub_server import REPO, Hub
from tests.provider.hub_server import serving as hub_serving
from tests.provider.pulling import CHUNK

pytestmark = pytest.mark.slow

STARTER = (Path(__file__).parents[2] / "models" / "starter.gguf").read_bytes()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_serving(Hub({"small.gguf": STARTER})) as running:
        yield running


def settings(hub: Hub, models: Path, name: str = REPO) -> dict[str, Any]:
    return {"models_dir": models, "hf_endpoint": hub.endpoint, "pull": name}


def health(client: httpx.Client, status: str) -> dict[str, Any]:
    """The first health with that status; it must come."""
    deadline = time.monotonic() + 60
    while (answer := client.get("/health")).json()["status"] != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.02)
    assert answer.status_code == (200 if status == "ok" else 503)
    found: dict[str, Any] = answer.json()["pull"]
    return found


def test_it_is_fetched_once_and_health_waits_for_it(hub: Hub, tmp_path: Path) -> None:
    hub.hold_after = CHUNK
    with serving(**settings(hub, tmp_path)) as client:
        pulling = health(client, "pulling")
        assert pulling["name"] == REPO
        assert client.get("/health/live").status_code == 200
        echoed = client.post("/api/v5/chat", json={"message": "hello", "model": "echo"})
        assert echoed.status_code == 200
        hub.carry_on.set()
        assert health(client, "ok") == {
            "name": REPO,
            "state": "done",
            "completed": len(STARTER),
            "total": len(STARTER),
            "problem": None,
        }
        answer = client.post("/api/v5/chat", json={"message": "hello", "model": "small"})
        assert answer.status_code == 200
    asked = len(hub.asked)
    with serving(**settings(hub, tmp_path)) as client:
        assert health(client, "ok")["state"] == "done"
    assert len(hub.asked) == asked


def test_it_is_tried_again_where_the_hub_fails(hub: Hub, tmp_path: Path) -> None:
    hub.page = b"no listing at all"
    with serving(**settings(hub, tmp_path)) as client:
        while not (problem := health(client, "pulling")["problem"]):
            time.sleep(0.02)
        assert hub.endpoint in problem
        hub.page = b""
        assert health(client, "ok")["state"] == "done"


@pytest.mark.parametrize(
    ("name", "word"), [("someone/another", "another"), ("no such name", "name")]
)
def test_a_name_that_means_no_model_is_unhealthy(
    hub: Hub, tmp_path: Path, name: str, word: str
) -> None:
    with serving(**settings(hub, tmp_path, name)) as client:
        failed = health(client, "unhealthy")
    assert failed["state"] == "failed"
    assert word in failed["problem"]


def test_without_the_setting_health_does_not_name_it(empty_models: Path) -> None:
    with serving(models_dir=empty_models) as client:
        assert "pull" not in client.get("/health").json()
