"""The requests of Codex, answered as it needs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.conftest import CALLING, END, TEMPLATE
from tests.conftest import link_models, serving
from tests.http.replaying import built, events_of, replay_of, send
from tests.http.responses_wire import require_grammar
from tests.provider.scripted import CONTROL, make
from tests.provider.scripted_answer import script_of

pytestmark = pytest.mark.slow

CODEX = replay_of("codex")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    models = tmp_path_factory.mktemp("models")
    link_models(models, "starter.gguf")
    script = script_of(CALLING)
    make(models / "caller.gguf", TEMPLATE, script.tokens, CONTROL, normal=script.normal, eos=END)
    with serving(models_dir=models, max_request_bytes=10**7) as client:
        yield client


def read(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Codex reads: items when they are done, and an end with an id and whole usage."""
    require_grammar(events)
    last = events[-1]
    assert last["type"] == "response.completed"
    usage = last["response"]["usage"]
    assert last["response"]["id"]
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert isinstance(usage[name], int)
    assert isinstance(usage["input_tokens_details"]["cached_tokens"], int)
    assert isinstance(usage["output_tokens_details"]["reasoning_tokens"], int)
    return [event["item"] for event in events if event["type"] == "response.output_item.done"]


def test_the_tools_that_are_run_here_are_called(server: httpx.Client) -> None:
    response = send(server, CODEX["first turn"])
    skipped = "custom, namespace, web_search, image_generation"
    assert response.headers["x-skipped-tools"] == skipped
    items = read(events_of(response))
    assert [item["type"] for item in items[:2]] == ["reasoning", "message"]
    calls = items[2:]
    assert calls
    for call in calls:  # the model may call in parallel
        assert (call["type"], call["name"]) == ("function_call", "get_weather")
        assert json.loads(call["arguments"]) == {"city": "Seoul"}
    assert len({call["call_id"] for call in calls}) == len(calls)


def test_the_whole_history_comes_again(server: httpx.Client) -> None:
    assert read(events_of(send(server, CODEX["with what the tool returned"])))


def test_an_answer_has_the_schema(server: httpx.Client) -> None:
    (item,) = read(events_of(send(server, CODEX["with a schema of the answer"])))
    assert set(json.loads(item["content"][0]["text"])) == {"warm"}


def test_a_prompt_that_is_too_long_is_final(server: httpx.Client) -> None:
    response = server.send(built(server, CODEX["too long"]))
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"


def test_nothing_is_kept(server: httpx.Client) -> None:
    assert server.get("/api/v5/conversations").json()["conversations"] == []
