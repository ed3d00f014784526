from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.provider.hub.plan import INCOMING
from tests.conftest import serving
from tests.provider.hub_server import COMMIT, REPO, Hub
from tests.provider.hub_server import serving as hub_serving
from tests.provider.pulling import CHUNK, arrived, left_over, tiny_disk

pytestmark = pytest.mark.slow

STARTER = (Path(__file__).parents[2] / "models" / "starter.gguf").read_bytes()
LARGE = bytes(6 * CHUNK)
HELD = 3 * CHUNK
"""Bytes after which a download stands still, so that it cannot end while a test looks."""
PULL = "/api/v5/models/pull"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_serving(Hub({"small.gguf": STARTER})) as running:
        yield running


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(**settings(hub, tmp_path)) as client:
        yield client


def settings(hub: Hub, models: Path) -> dict[str, Any]:
    return {
        "models_dir": models,
        "hf_endpoint": hub.endpoint,
        "modelscope_endpoint": hub.endpoint,
    }


def ask(client: httpx.Client, name: str = REPO) -> httpx.Response:
    return client.post(PULL, json={"name": name})


def begun(client: httpx.Client, name: str = REPO) -> str:
    answer = ask(client, name)
    assert answer.status_code == 202, answer.text
    location: str = answer.headers["location"]
    assert location == f"{PULL}/{answer.json()['id']}"
    return location


def ended(client: httpx.Client, location: str) -> dict[str, Any]:
    while (job := look(client, location))["state"] in {"queued", "running"}:
        time.sleep(0.05)
    return job


def look(client: httpx.Client, location: str) -> dict[str, Any]:
    job: dict[str, Any] = client.get(location).raise_for_status().json()
    return job


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def wait_until_it_arrives(client: httpx.Client, location: str) -> dict[str, Any]:
    while not (job := look(client, location))["bytes_done"]:
        assert job["state"] in {"queued", "running"}
        time.sleep(0.05)
    return job


def test_model_is_pulled_and_answers(hub: Hub, client: httpx.Client) -> None:
    client.get("/api/v5/models")
    job = ended(client, begun(client))
    assert job == {
        "id": job["id"],
        "name": REPO,
        "source": f"{REPO}:small.gguf",
        "revision": COMMIT,
        "licence": "apache-2.0",
        "state": "done",
        "model": "small",
        "files": 1,
        "bytes_done": len(STARTER),
        "bytes_total": len(STARTER),
        "speed": 0.0,
        "seconds_left": None,
        "created_at": job["created_at"],
        "problem": None,
    }
    answer = client.post("/api/v5/chat", json={"message": "Hello!", "model": job["model"]})
    assert answer.status_code == 200, answer.text


def test_progress_is_told_and_the_same_name_finds_the_same_job(
    hub: Hub, client: httpx.Client
) -> None:
    hub.files, hub.pace, hub.hold_after = {"small.gguf": LARGE}, 0.3, HELD
    location = begun(client)
    while not (job := look(client, location))["speed"]:
        assert job["state"] in {"queued", "running"}
    assert job["state"] == "running"
    assert 0 < job["bytes_done"] < job["bytes_total"] == len(LARGE)
    assert job["seconds_left"] == pytest.approx(
        (job["bytes_total"] - job["bytes_done"]) / job["speed"], rel=0.1, abs=0.06
    )  # seconds are rounded to tenths
    asked = len(hub.asked)
    assert begun(client) == location
    assert len(hub.asked) == asked
    assert begun(client, f"{REPO}:small.gguf") == location
    assert [job["id"] for job in client.get(PULL).json()["jobs"]] == [job["id"]]


def test_cancelled_download_goes_on_when_asked_again(
    hub: Hub, client: httpx.Client, tmp_path: Path
) -> None:
    hub.files, hub.pace, hub.hold_after = {"small.gguf": LARGE}, 0.3, HELD
    location = begun(client)
    wait_until_it_arrives(client, location)
    assert client.delete(location).json()["state"] == "cancelled"
    assert downloading() == []
    before = arrived(tmp_path)
    assert before > 0
    hub.pace = hub.hold_after = 0
    assert client.delete(location).json()["state"] == "cancelled"
    again = begun(client)
    assert again != location
    assert ended(client, again)["state"] == "done"
    assert hub.downloads[-1][0] == f"bytes={before}-"


def test_two_run_and_others_wait(hub: Hub, client: httpx.Client) -> None:
    hub.files = {f"m{number}.gguf": LARGE for number in range(4)}
    hub.pace, hub.hold_after = 0.3, HELD
    first, second, third, fourth = [begun(client, f"{REPO}:m{n}.gguf") for n in range(4)]
    wait_until_it_arrives(client, second)
    states = [look(client, each)["state"] for each in (first, second, third, fourth)]
    assert states == ["running", "running", "queued", "queued"]
    assert len(downloading()) == 2
    assert client.delete(third).json()["state"] == "cancelled"
    client.delete(first)
    wait_until_it_arrives(client, fourth)
    assert [job["state"] for job in client.get(PULL).json()["jobs"]] == [
        "running",
        "cancelled",
        "running",
        "cancelled",
    ]


def test_downloads_are_bounded(
    hub: Hub, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.downloads.jobs.MOST_OPEN", 2)
    monkeypatch.setattr("app.downloads.jobs.MOST_KEPT", 2)
    hub.files = {f"m{number}.gguf": LARGE for number in range(3)}
    hub.hold_after = HELD
    first, second = [begun(client, f"{REPO}:m{n}.gguf") for n in range(2)]
    refused = ask(client, f"{REPO}:m2.gguf")
    assert refusal(refused) == (429, "too-many-pulls")
    assert refused.headers["retry-after"] == "60"
    client.delete(first)
    third = begun(client, f"{REPO}:m2.gguf")
    kept = [job["id"] for job in client.get(PULL).json()["jobs"]]
    assert kept == [third.rpartition("/")[2], second.rpartition("/")[2]]


@pytest.mark.parametrize(
    ("hub_refusal", "expected"),
    [
        ((401, "GatedRepo"), (403, "hub-refused")),
        ((404, "RepoNotFound"), (404, "hub-model-not-found")),
        ((503, ""), (502, "hub-unreachable")),
    ],
)
def test_what_the_hub_refuses_is_told_at_once(
    hub: Hub, client: httpx.Client, hub_refusal: tuple[int, str], expected: tuple[int, str]
) -> None:
    hub.refusal = hub_refusal
    assert refusal(ask(client)) == expected
    assert client.get(PULL).json() == {"jobs": []}


def test_other_refusals(hub: Hub, client: httpx.Client, tmp_path: Path) -> None:
    assert refusal(ask(client, "no-such-name")) == (404, "hub-model-not-found")
    assert refusal(ask(client, f"{REPO}:q2")) == (404, "hub-model-not-found")
    (tmp_path / "small.gguf").write_text("mine")
    assert refusal(ask(client)) == (409, "name-taken")
    (tmp_path / "small.gguf").unlink()
    hub.announced_size = 10**16
    assert refusal(ask(client)) == (507, "no-space")
    assert refusal(client.get(f"{PULL}/nobody")) == (404, "pull-not-found")
    assert refusal(client.delete(f"{PULL}/nobody")) == (404, "pull-not-found")


@pytest.mark.parametrize("name", ["../../x", "http://127.0.0.1:1/a/b", "a/b:../c", "/etc/passwd"])
def test_only_names_of_the_configured_hub_are_taken(
    hub: Hub, client: httpx.Client, name: str
) -> None:
    answer = ask(client, name)
    assert refusal(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/name"
    assert hub.asked == []


def test_model_that_a_killed_update_put_aside_is_back_at_the_start(
    hub: Hub, tmp_path: Path
) -> None:
    aside = tmp_path / INCOMING / "small.gguf-0123456789ab" / "old" / "small.gguf"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(STARTER)
    with serving(**settings(hub, tmp_path)) as client:
        assert "small" in client.get("/api/v1/models").text
        assert (tmp_path / "small.gguf").read_bytes() == STARTER


def test_pulling_may_be_switched_off(hub: Hub, tmp_path: Path) -> None:
    with serving(**settings(hub, tmp_path), allow_pull=False) as client:
        assert refusal(ask(client)) == (403, "pull-not-allowed")
        assert hub.asked == []


def test_silent_hub_is_given_up(
    hub: Hub, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.downloads.jobs.LISTING_SECONDS", 1.5)
    hub.stall_listing = True  # for ten minutes
    assert refusal(ask(client)) == (502, "hub-unreachable")
    assert downloading() == []


def test_failed_download_says_why(hub: Hub, client: httpx.Client) -> None:
    hub.gated_files = True
    job = ended(client, begun(client))
    assert (job["state"], job["problem"]["code"], job["model"]) == ("failed", "hub-refused", None)
    assert "accept its terms" in job["problem"]["detail"]


def test_killed_download_is_a_failure_that_can_be_repeated(
    hub: Hub, client: httpx.Client, tmp_path: Path
) -> None:
    hub.files, hub.pace, hub.hold_after = {"small.gguf": LARGE}, 0.3, HELD
    location = begun(client)
    wait_until_it_arrives(client, location)
    (child,) = downloading()
    child.kill()
    job = ended(client, location)
    assert (job["state"], job["problem"]["code"]) == ("failed", "pull-failed")
    hub.pace = hub.hold_after = 0
    assert ended(client, begun(client))["state"] == "done"
    assert (tmp_path / "small.gguf").read_bytes() == LARGE


def test_disk_that_fills_up(hub: Hub) -> None:
    hub.files, hub.pace, hub.hold_after = {"small.gguf": LARGE}, 0.3, HELD
    with tiny_disk(8 * CHUNK) as models, serving(**settings(hub, models)) as client:
        location = begun(client)
        wait_until_it_arrives(client, location)
        (models / "others").write_bytes(bytes(4 * CHUNK))
        hub.carry_on.set()
        job = ended(client, location)
        assert (job["state"], job["problem"]["code"]) == ("failed", "no-space")


def test_downloads_end_with_the_server(hub: Hub, tmp_path: Path) -> None:
    hub.files, hub.pace, hub.hold_after = {"small.gguf": LARGE}, 0.3, HELD
    with serving(**settings(hub, tmp_path)) as client:
        wait_until_it_arrives(client, begun(client))
    assert downloading() == []
    assert left_over(tmp_path)


def test_killed_server_leaves_no_download(hub: Hub, tmp_path: Path) -> None:
    hub.files, hub.pace, hub.hold_after = {"small.gguf": LARGE}, 0.3, HELD
    environment = {
        **os.environ,
        "MODELS_DIR": str(tmp_path),
        "HF_ENDPOINT": hub.endpoint,
        "DATABASE_URL": f"sqlite:///{tmp_path}/sllm.db",
        "PORT": "0",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port_of(server.pid)}", timeout=60)
        with client:
            wait_until_it_arrives(client, begun(client))
            (child,) = downloading(server.pid)
            server.send_signal(signal.SIGKILL)
    child.wait(60)
    assert list((tmp_path / INCOMING).iterdir())


def port_of(pid: int) -> int:
    process = psutil.Process(pid)
    while True:
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return int(connection.laddr.port)
        time.sleep(0.05)


def downloading(parent: int | None = None) -> list[psutil.Process]:
    """Processes that ask a hub or download, below this process."""
    return [
        child
        for child in psutil.Process(parent).children(recursive=True)
        if "app.provider.hub" in child.cmdline()
    ]
