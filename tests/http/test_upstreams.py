"""Models of other servers in the catalogue and in every dialect, as files and settings declare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import serving
from tests.provider.upstream.servers import Server, own_server

QUESTION = "One two three"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with own_server(tmp_path_factory.mktemp("other"), api_keys="other-secret") as server:
        yield server


@pytest.fixture(scope="module")
def models_dir(other: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    declared = {
        "base_url": f"{other.url}/v1",
        "key_env": "OTHER_KEY",
        "models": {
            "repeat": "echo",
            "repeat-vision": {"model": "echo-vision", "tasks": ["chat", "vision"]},
            "embed": {"model": "echo-embed", "tasks": ["embedding"], "dimensions": 128},
            "rank": {"model": "echo-rerank", "tasks": ["rerank"]},
        },
        "context_length": 4096,
    }
    (folder / "other.upstream.json").write_text(json.dumps(declared))
    (folder / "broken.upstream.json").write_text('{"base_url": 7}')
    deeper = folder / "strangers"
    deeper.mkdir()
    (deeper / "sly.upstream.json").write_text(json.dumps(declared))
    return folder


@pytest.fixture(scope="module")
def client(models_dir: Path) -> Iterator[httpx.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER_KEY", "other-secret")
        with serving(models_dir=models_dir, enable_echo=False) as client:
            yield client


def test_they_are_listed_in_every_dialect(client: httpx.Client) -> None:
    declared = {"repeat", "repeat-vision", "embed", "rank"}
    listed = {one["id"]: one for one in client.get("/api/v5/models").json()["models"]}
    assert declared | {"broken"} == listed.keys()
    assert listed["repeat"]["format"] == "upstream"
    assert (listed["repeat"]["context_length"], listed["repeat"]["problem"]) == (4096, None)
    assert "base_url" in listed["broken"]["problem"]
    ours = {one["id"] for one in client.get("/v1/models").json()["data"]}
    assert declared <= ours
    assert "broken" not in ours
    assert client.get("/v1/models/repeat").json()["engine"] == "upstream"


def test_a_chat_is_answered_whole_and_as_a_stream(client: httpx.Client) -> None:
    body = {"model": "repeat", "messages": [{"role": "user", "content": QUESTION}]}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == QUESTION
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["completion_tokens"] == 3
    with client.stream("POST", "/v1/chat/completions", json=body | {"stream": True}) as stream:
        lines = [line for line in stream.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    answer = client.post("/api/v1/chat", json={"model": "repeat", "message": QUESTION}).json()
    assert answer["answer"]["content"] == QUESTION if "answer" in answer else answer
