"""A model in vLLM (a stand-in for it), as clients of the server see it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.events import parsed
from tests.vllm.serving_vllm import Notes, has_ended, serving_vllm, wait_for

pytestmark = pytest.mark.slow

QUESTION = {"message": "one two three four"}


@pytest.fixture(scope="module")
def client_and_notes(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[httpx.Client, Notes]]:
    with serving_vllm(tmp_path_factory.mktemp("vllm")) as both:
        yield both


@pytest.fixture(scope="module")
def client(client_and_notes: tuple[httpx.Client, Notes]) -> httpx.Client:
    return client_and_notes[0]


@pytest.fixture(scope="module")
def notes(client_and_notes: tuple[httpx.Client, Notes]) -> Notes:
    return client_and_notes[1]


def test_it_answers(client: httpx.Client) -> None:
    answer = client.post("/api/v1/chat", json=QUESTION)
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"]["content"] == QUESTION["message"]


def test_it_is_listed_as_a_model_like_any_other(client: httpx.Client) -> None:
    (model,) = client.get("/api/v5/models").json()["models"]
    assert (model["id"], model["format"]) == ("m", "hf")


def test_it_streams(client: httpx.Client) -> None:
    events = parsed(client.post("/api/v2/chat/stream", json=QUESTION).text)
    deltas = [event.data["text"] for event in events if event.name == "delta"]
    assert "".join(deltas) == QUESTION["message"]
    assert events[-1].name == "done"
    assert events[-1].data["usage"]["cached_tokens"] == 1


def test_the_openai_dialect_passes_through(client: httpx.Client) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "hello there"


def test_hanging_up_closes_the_answer_in_vllm(client: httpx.Client, notes: Notes) -> None:
    notes.fail("holds")
    try:
        with client.stream("POST", "/api/v2/chat/stream", json=QUESTION) as answer:
            for line in answer.iter_lines():
                if "two" in line:
                    break
        wait_for(lambda: notes.has("closed"))
    finally:
        notes.fail("")


def test_its_socket_is_private(client: httpx.Client, notes: Notes) -> None:
    client.post("/api/v1/chat", json=QUESTION)
    assert stat.S_IMODE(notes.socket.parent.stat().st_mode) == 0o700
    started = notes.starts[-1]
    assert started["environment"]["VLLM_API_KEY"]
    assert started["environment"]["VLLM_API_KEY"] not in " ".join(started["argv"])
    assert "PYTHONPATH" not in started["environment"]


def test_prompts_are_counted_by_vllm(client: httpx.Client, notes: Notes) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}
    answer = client.post("/v1/messages/count_tokens", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["input_tokens"] == 3
    assert "/tokenize" in {request["path"] for request in notes.requests}


def test_owners_share_no_prefix(client: httpx.Client, notes: Notes) -> None:
    client.post("/api/v1/chat", json=QUESTION)
    asked = [one["body"] for one in notes.requests if one["path"] == "/v1/chat/completions"]
    assert all(body["cache_salt"] for body in asked)


def test_unloading_ends_every_process(client: httpx.Client, notes: Notes) -> None:
    client.post("/api/v1/chat", json=QUESTION)
    assert len(notes.processes()) == 2
    answer = client.delete("/api/v5/models/m/load")
    assert answer.is_success, answer.text
    assert has_ended(notes)()
    assert client.post("/api/v1/chat", json=QUESTION).status_code == 200


def test_stopping_the_server_ends_every_process(tmp_path: Path) -> None:
    with serving_vllm(tmp_path) as (client, notes):
        client.post("/api/v1/chat", json=QUESTION)
        assert len(notes.processes()) == 2
    assert has_ended(notes)()


@pytest.mark.matrix
def test_one_that_ignores_sigterm_is_ended_too(tmp_path: Path) -> None:
    with serving_vllm(tmp_path) as (client, notes):
        notes.fail("stubborn")
        assert client.post("/api/v1/chat", json=QUESTION).status_code == 200
        assert client.delete("/api/v5/models/m/load").is_success
        assert has_ended(notes)()


def test_settings_reach_the_command_line(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "engine_slots": 3,
        "llm_available_gpu_memory_gb": 10,
        "llm_vllm_dtype": "half",
        "llm_vllm_max_model_len": 777,
        "llm_vllm_tensor_parallel_size": 2,
        "cuda_visible_devices": "0,1",
        "use_gpu": True,
    }
    with serving_vllm(tmp_path, **given) as (client, notes):
        assert client.post("/api/v1/chat", json=QUESTION).status_code == 200
        started = notes.starts[0]
    options = started["options"]
    assert options["--max-num-seqs"] == "3"
    assert options["--dtype"] == "half"
    assert options["--max-model-len"] == "777"
    assert options["--tensor-parallel-size"] == "2"
    assert 0 < float(options["--gpu-memory-utilization"]) < 1
    assert started["environment"]["CUDA_VISIBLE_DEVICES"] == "0,1"
