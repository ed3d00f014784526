"""Thinking on its way through the server: every version gives the answer's text alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http import anthropic
from tests.http.events import parsed
from tests.provider.scripted import CHATML, CONTROL, make

PLAN, YES = ["p", "l"], ["y", "e", "s", "<|im_end|>"]
SCRIPTS = {
    "marked": ["<think>", *PLAN, "</think>", *YES],
    "lone": [*PLAN, "</think>", *YES],
    "endless": ["<think>", *PLAN, "<|im_end|>"],
    "talks": [*PLAN, "</think>", "y", "y"],  # for ever
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    for name, script in SCRIPTS.items():
        file = folder / f"{name}.gguf"
        length = 2**16 if name == "talks" else 2**12
        make(file, CHATML, script, CONTROL, ("<think>", "</think>"), eos="<|im_end|>", ctx=length)
    with serving(models_dir=folder, enable_echo=False, kv_cache_mb=64) as client:
        yield client


def asked(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "message": "hi", "temperature": 0} | fields


@pytest.mark.parametrize("version", ["v1", "v3", "v4", "v5"])
@pytest.mark.parametrize("model", ["marked", "lone"])
def test_an_answer_is_given_without_its_thinking(
    client: httpx.Client, version: str, model: str
) -> None:
    body = client.post(f"/api/{version}/chat", json=asked(model)).json()
    assert body["message"]["content"] == "yes"
    assert body["finish_reason"] == "stop"
    thought = SCRIPTS[model].index("</think>") + 1
    assert body["usage"]["completion_tokens"] == thought + 3


def test_a_stream_has_no_thinking_but_all_of_its_tokens(client: httpx.Client) -> None:
    events = parsed(client.post("/api/v2/chat/stream", json=asked("marked")).text)
    text = "".join(event.data["text"] for event in events if event.name == "delta")
    assert text == "yes"
    assert events[-1].data["usage"]["completion_tokens"] == 7


def test_an_answer_that_is_all_thinking_was_cut(client: httpx.Client) -> None:
    body = client.post("/api/v1/chat", json=asked("endless")).json()
    assert (body["message"]["content"], body["finish_reason"]) == ("", "length")


@pytest.mark.parametrize("model", ["marked", "lone"])
def test_a_conversation_keeps_the_answer(client: httpx.Client, model: str) -> None:
    streamed = client.post("/api/v4/chat/stream", json=asked(model)).text
    conversation = parsed(streamed)[0].data["conversation_id"]
    kept = client.get(f"/api/v4/conversations/{conversation}").json()
    assert [message["content"] for message in kept["messages"]] == ["hi", "yes"]


def test_an_answer_that_was_stopped_is_kept_without_its_thinking(client: httpx.Client) -> None:
    text = ""
    endless = asked("talks", max_tokens=32_768)
    with client.stream("POST", "/api/v4/chat/stream", json=endless) as answer:
        pieces = answer.iter_text()
        while "y" not in text.rpartition('"text":')[2]:
            text += next(pieces)
        conversation = parsed(text[: text.index("event: delta")])[0].data["conversation_id"]
        client.post(f"/api/v4/conversations/{conversation}/stop")
        text += "".join(pieces)
    assert parsed(text)[-1].data["finish_reason"] == "cancelled"
    kept = client.get(f"/api/v4/conversations/{conversation}").json()["messages"][-1]["content"]
    assert set(kept) == {"y"}


@pytest.mark.slow
def test_a_summary_that_is_all_thinking_loses_nothing(client: httpx.Client) -> None:
    long = asked("marked", message="x " * 1100, overflow="summarise")
    first = client.post("/api/v4/chat", json=long).json()
    next_turn = {"model": "endless", "conversation_id": first["conversation_id"]}
    again = client.post("/api/v4/chat", json=long | next_turn)
    assert again.status_code == 400, again.text
    assert "wrote no summary" in again.json()["detail"]


def test_anthropics_clients_are_sent_the_thinking_that_they_ask_for(client: httpx.Client) -> None:
    question: dict[str, Any] = {"model": "marked", "temperature": 0}
    thinking = {"type": "adaptive"}
    whole = anthropic.asked(client, thinking=thinking, **question)
    kinds = [
        (block["type"], block.get("thinking", block.get("text"))) for block in whole["content"]
    ]
    assert kinds == [("thinking", "pl"), ("text", "yes")]
    pieces = anthropic.streamed(client, thinking=thinking, **question)
    assert pieces["content"] == whole["content"]
    hidden = anthropic.asked(client, thinking=thinking | {"display": "omitted"}, **question)
    assert anthropic.text_of(hidden) == "yes"


def test_thinking_that_anthropics_clients_do_not_ask_for_is_cut_short(client: httpx.Client) -> None:
    whole = anthropic.asked(client, model="marked", temperature=0)
    assert [block["type"] for block in whole["content"]] == ["text"]
