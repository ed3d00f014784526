"""vLLM itself with the starter model, where VLLM_FOR_TESTS names its program (a build for CPUs)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import MODELS, serving
from tests.http.events import parsed
from tests.vllm.serving_vllm import is_alive, wait_for

PROGRAM = os.environ.get("VLLM_FOR_TESTS", "")
QUESTION = {"message": "What are you?", "temperature": 0}

pytestmark = [
    pytest.mark.matrix,
    pytest.mark.skipif(not PROGRAM, reason="VLLM_FOR_TESTS names no vLLM"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("real-vllm")
    (folder / "m").symlink_to(MODELS / "starter-hf")
    with serving(
        models_dir=folder,
        default_chat_model="m",
        enable_echo=False,
        kv_cache_mb=256,
        llm_vllm_args="--enforce-eager",
        llm_vllm_dtype="float32",
        memory_budget_mb=64 * 1024,
        model_engine=["m=vllm"],
        vllm_command=PROGRAM,
    ) as client:
        client.timeout = httpx.Timeout(600)
        yield client


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/api/v1/chat", json=QUESTION)


def vllm_processes() -> list[psutil.Process]:
    """Everything that runs below the engine process."""
    return [one for child in psutil.Process().children() for one in child.children(recursive=True)]


def test_it_answers_whole_and_in_pieces(client: httpx.Client) -> None:
    whole = ask(client).json()
    assert "starter model" in whole["message"]["content"]
    events = parsed(client.post("/api/v2/chat/stream", json=QUESTION).text)
    pieces = [event.data["text"] for event in events if event.name == "delta"]
    assert "".join(pieces) == whole["message"]["content"]
    assert events[-1].data["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"] > 0


def test_a_prompt_that_is_too_long(client: httpx.Client) -> None:
    refused = client.post("/api/v1/chat", json={"message": "a " * 9000})
    assert (refused.status_code, refused.json()["limit"]) == (400, 4096)


def test_an_answer_keeps_to_a_schema(client: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    named = {"name": "answer", "schema": schema}
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "A colour?"}],
        "response_format": {"type": "json_schema", "json_schema": named},
    }
    answer = client.post("/v1/chat/completions", json=body).json()
    assert "colour" in answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("name", ["VLLM::EngineCore", "VLLM::Worker", "vllm"])
def test_a_process_that_is_killed(client: httpx.Client, name: str) -> None:
    ask(client)
    before = vllm_processes()
    next(one for one in before if one.name() == name).kill()
    wait_for(lambda: not any(map(is_alive, before)))
    wait_for(lambda: ask(client).status_code == 200)


def test_unloading_ends_all(client: httpx.Client) -> None:
    ask(client)
    before = vllm_processes()
    assert len(before) > 2
    assert client.delete("/api/v5/models/m/load").is_success
    assert not any(map(is_alive, before))


def test_an_option_that_it_does_not_know(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "m").symlink_to(MODELS / "starter-hf")
    wrong: dict[str, Any] = {"llm_vllm_args": "--nonsense", "model_engine": ["m=vllm"]}
    wrong |= {"memory_budget_mb": 64 * 1024, "vllm_command": PROGRAM}
    with serving(models_dir=tmp_path, **wrong) as other:
        refused = other.post("/api/v5/models/m/load", timeout=300)
    assert "unrecognized arguments: --nonsense" in refused.text
