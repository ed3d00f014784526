"""Models of other servers in the catalogue and in every dialect, as files and settings declare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import serving
from tests.http.encoding_wire import vectors
from tests.http.vision import asked, picture, sent, shown
from tests.provider.upstream.servers import Server, declare, own_server

QUESTION = "One two three"
AUTHORISED = {"Authorization": "Bearer other-secret"}


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
            "embed": {
                "model": "echo-embed",
                "tasks": ["embedding"],
                "dimensions": 128,
                "prompts": {"query": "query: ", "document": "passage: "},
            },
            "rank": {"model": "echo-rerank", "tasks": ["rerank"]},
            "clip": {"model": "echo-clip", "tasks": ["multimodal", "vision"]},
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
    declared = {"repeat", "repeat-vision", "embed", "rank", "clip"}
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


TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SPELLED = '<tool_call>\n{"name": "f", "arguments": {"city": "Paris"}}\n</tool_call>'


def test_tool_calls_come_through_whole_and_in_pieces(client: httpx.Client) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": SPELLED}]
    body = {"model": "repeat", "messages": messages, "tools": [TOOL]}
    choice = client.post("/v1/chat/completions", json=body).json()["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], call["function"]["name"]) == ("tool_calls", "f")
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    messages += [
        choice["message"],
        {"role": "tool", "tool_call_id": call["id"], "content": "Sunny"},
        {"role": "user", "content": "Thank you"},
    ]
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "Thank you"


def test_pictures_are_seen_there(client: httpx.Client) -> None:
    answer = asked(client, "What is it?", picture(40, 30), model="repeat-vision")
    assert shown(answer) == ["40x30"]
    url = f"data:image/png;base64,{sent(picture(30, 20))['base64']}"
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "And?"}]
    body = {"model": "repeat-vision", "messages": [{"role": "user", "content": parts}]}
    text = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    assert text.startswith("[image 30x20 ")


def test_stored_conversations_go_on_there(client: httpx.Client) -> None:
    first = client.post("/api/v4/chat", json={"model": "repeat", "message": QUESTION}).json()
    more = {"conversation_id": first["conversation_id"], "message": "Four"}
    second = client.post("/api/v4/chat", json=more).json()
    assert second["message"]["content"] == "Four"
    assert second["usage"]["prompt_tokens"] == 7


def test_stop_texts_and_log_probabilities_come_through(client: httpx.Client) -> None:
    body = {
        "model": "repeat",
        "messages": [{"role": "user", "content": QUESTION}],
        "stop": ["three", "never"],
        "logprobs": True,
    }
    choice = client.post("/v1/chat/completions", json=body).json()["choices"][0]
    assert choice["message"]["content"] == "One two "
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "three")
    assert [one["token"] for one in choice["logprobs"]["content"]] == ["One ", "two ", "three"]
    answer = client.post(
        "/v1/messages",
        json={
            "model": "repeat",
            "max_tokens": 99,
            "messages": [{"role": "user", "content": QUESTION}],
            "stop_sequences": ["two"],
        },
    ).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "two")


def test_texts_are_continued_and_tokenised_there(client: httpx.Client) -> None:
    answer = client.post("/v1/completions", json={"model": "repeat", "prompt": QUESTION}).json()
    assert answer["choices"][0]["text"] == QUESTION
    made = client.post(
        "/v1/tokenize", json={"model": "repeat", "prompt": QUESTION, "return_token_strs": True}
    ).json()
    assert (made["count"], made["token_strs"]) == (3, ["One ", "two ", "three"])
    back = client.post("/v1/detokenize", json={"model": "repeat", "tokens": made["tokens"]}).json()
    assert back["prompt"] == QUESTION


def test_vectors_and_ranks_are_those_of_the_other_server(
    client: httpx.Client, other: Server
) -> None:
    texts = ["a model answers", "weights lie here", "모델"]
    with httpx.Client(base_url=other.url, headers=AUTHORISED, timeout=60) as direct:
        for options in ({}, {"dimensions": 32}, {"input_type": "query"}):
            ours = vectors(client, texts, model="embed", **options)
            theirs = vectors(direct, texts, model="echo-embed", **options)
            assert np.abs(ours - theirs).max() < 1e-6
        body = {"query": "a model", "documents": texts}
        ours = client.post("/v1/rerank", json={"model": "rank", **body}).json()["results"]
        theirs = direct.post("/v1/rerank", json={"model": "echo-rerank", **body}).json()["results"]
    assert ours == theirs
    usage = client.post("/v1/embeddings", json={"model": "embed", "input": texts}).json()["usage"]
    assert usage["prompt_tokens"] == 10


def test_vectors_of_pictures_are_those_of_the_other_server(
    client: httpx.Client, other: Server
) -> None:
    body = {"images": [sent(picture(8, 8))["base64"]], "texts": ["a red square"]}
    ours = client.post("/v1/multimodal/encode", json={"model": "clip", **body}).json()
    with httpx.Client(base_url=other.url, headers=AUTHORISED, timeout=60) as direct:
        theirs = direct.post("/v1/multimodal/encode", json={"model": "echo-clip", **body}).json()
    for name in ("image_embeddings", "text_embeddings"):
        assert np.abs(np.subtract(ours[name], theirs[name])).max() < 1e-6


def test_an_input_that_is_too_long_is_named(client: httpx.Client) -> None:
    answer = client.post("/v1/embeddings", json={"model": "embed", "input": ["a", "word " * 999]})
    assert answer.status_code == 400
    assert "input at index 1 has 1000 tokens" in answer.json()["error"]["message"]


def test_models_there_take_no_place_of_those_here(models_dir: Path) -> None:
    """One model at a time, but those of another server beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER_KEY", "other-secret")
        with serving(models_dir=models_dir, llm_model_cache_size=1) as client:
            for model in ("echo", "repeat", "repeat-vision", "embed", "echo"):
                path = "embeddings" if model == "embed" else "chat/completions"
                body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
                body = body if path != "embeddings" else {"model": model, "input": "x"}
                assert client.post(f"/v1/{path}", json=body).status_code == 200
            health = client.get("/health").json()
            assert set(health["models"]) == {"echo", "repeat", "repeat-vision", "embed"}
            plan = client.post("/api/v5/models/repeat/plan", json={}).json()
            assert (plan["fits"], plan["ram_bytes"], plan["evict"]) == (True, 0, [])


def test_a_setting_declares_them_too(other: Server, tmp_path: Path) -> None:
    declared = {"box": {"base_url": f"{other.url}/v1", "key_env": "OTHER_KEY", "models": ["echo"]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER_KEY", "other-secret")
        patch.setenv("UPSTREAMS", json.dumps(declared | {"bad": {"base_url": "ftp://x"}}))
        with serving(models_dir=tmp_path, enable_echo=False) as client:
            body = {"model": "echo", "messages": [{"role": "user", "content": QUESTION}]}
            answer = client.post("/v1/chat/completions", json=body).json()
            listed = client.get("/api/v5/models").json()["models"]
    assert answer["choices"][0]["message"]["content"] == QUESTION
    problems = {one["id"]: one["problem"] for one in listed}
    assert problems["echo"] is None
    assert "http://host:8000/v1" in str(problems["bad"])


def test_all_models_of_a_server_are_listed_without_naming_them(
    other: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "other-secret")
    declare(tmp_path, "box", other.url, key_env="OTHER_KEY", models="all")
    aliases = ("gpt=echo",)
    with serving(models_dir=tmp_path, enable_echo=False, model_aliases=aliases) as client:
        while "echo" not in (listed := {one["id"]: one for one in models_of(client)}):
            assert listed.keys() <= {"box"}
        assert listed.keys() == {"echo", "echo-vision", "echo-embed", "echo-rerank", "echo-clip"}
        assert listed["echo-vision"]["tasks"] == ["chat", "vision"]
        assert (listed["echo"]["context_length"], listed["echo"]["aliases"]) == (4096, ["gpt"])
        body = {"model": "gpt", "messages": [{"role": "user", "content": QUESTION}]}
        answer = client.post("/v1/chat/completions", json=body).json()
        assert answer["choices"][0]["message"]["content"] == QUESTION


def test_a_server_that_lists_nothing_says_why(tmp_path: Path) -> None:
    declare(tmp_path, "box", "http://127.0.0.1:9", models="all")
    with serving(models_dir=tmp_path, enable_echo=False) as client:
        while "ask again" in (problem := models_of(client)[0]["problem"]):
            pass
    assert problem.startswith("The server box cannot be reached")


def models_of(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v5/models").json()["models"]
    return found
