"""The requests of Open WebUI, Continue and Zed, answered as they need it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import link_models, serving
from tests.docs.pages import text_of
from tests.http.replaying import built, chunks_of, replay_of, send

pytestmark = pytest.mark.slow

STARTERS = ("starter.gguf", "starter-vision.gguf", "mmproj-starter-vision.gguf", "starter-embed")
OPEN_WEBUI = replay_of("open_webui")
EDITORS = replay_of("editors")
TASKS = ("title", "tags", "follow-up", "autocomplete", "queries")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    models = tmp_path_factory.mktemp("models")
    link_models(models, *STARTERS)
    with serving(
        models_dir=models, context_length=10**6, default_max_tokens=64, engine_threads=1
    ) as client:
        yield client


def test_open_webui_takes_its_models_from_the_list(server: httpx.Client) -> None:
    models = send(server, OPEN_WEBUI["refresh"]).json()
    assert "error" not in models
    ids = [model["id"] for model in models["data"]]
    assert {"starter", "starter-vision"} <= set(ids)
    assert all(model.get("name", "") is not None for model in models["data"])


def test_open_webui_shows_a_picture(server: httpx.Client) -> None:
    text, last = read(chunks_of(send(server, OPEN_WEBUI["chat"])))
    assert text
    assert last["usage"]["completion_tokens"] > 0


def read(chunks: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """What Open WebUI shows, and the chunk with the usage, the only one without a choice."""
    *pieces, last = chunks
    assert not last["choices"]
    deltas = [chunk["choices"][0]["delta"] for chunk in pieces]
    assert [delta["role"] for delta in deltas if "role" in delta] == ["assistant"]
    assert pieces[-1]["choices"][0]["finish_reason"] in {"stop", "length", "tool_calls"}
    return "".join(delta.get("content") or "" for delta in deltas), last


@pytest.mark.parametrize("turn", ["next turn", "next turn of a model that thinks"])
def test_open_webui_goes_on_after_its_tasks_without_computing_the_chat_again(
    server: httpx.Client, turn: str
) -> None:
    """The tasks come right after an answer, between two turns of the chat."""
    body = OPEN_WEBUI[turn]["body"]
    first = OPEN_WEBUI[turn] | {"body": body | {"messages": body["messages"][:-2]}}
    _, last = read(chunks_of(send(server, first)))
    shared = last["usage"]["prompt_tokens"]
    for task in TASKS:
        answer = send(server, OPEN_WEBUI[task]).json()
        assert isinstance(answer["choices"][0]["message"]["content"], str)
    _, last = read(chunks_of(send(server, OPEN_WEBUI[turn])))
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] >= 0.9 * shared


def test_open_webui_sends_many_tools_of_its_own(server: httpx.Client) -> None:
    """They are more than the starter takes, which docs/open-webui.md says."""
    request = OPEN_WEBUI["built-in tools"]
    refused = server.send(built(server, request))
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert error["message"] in text_of("docs/open-webui.md")
    chunks = chunks_of(send(server, request | {"body": request["body"] | {"model": "echo"}}))
    assert chunks[-1]["choices"][0]["finish_reason"] in {"stop", "length", "tool_calls"}


@pytest.mark.parametrize("name", ["document", "query"])
def test_open_webui_gets_a_vector_for_each_text(server: httpx.Client, name: str) -> None:
    vectors = [each["embedding"] for each in send(server, OPEN_WEBUI[name]).json()["data"]]
    assert len(vectors) == len(OPEN_WEBUI[name]["body"]["input"])
    assert all(isinstance(number, float) for vector in vectors for number in vector)


def test_open_webui_asks_with_what_it_found(server: httpx.Client) -> None:
    text, _ = read(chunks_of(send(server, OPEN_WEBUI["sources"])))
    assert text


def test_open_webui_sends_what_its_tools_returned(server: httpx.Client) -> None:
    response = send(server, OPEN_WEBUI["tool results"])
    assert all(chunk["choices"] for chunk in chunks_of(response)), "no usage was asked for"


def test_open_webui_stops_an_answer_by_hanging_up(server: httpx.Client) -> None:
    response = server.send(built(server, OPEN_WEBUI["long"]), stream=True)
    texts = response.iter_text()
    next(texts)
    assert active(server) == 1
    response.close()
    deadline = time.monotonic() + 60
    while active(server):
        assert time.monotonic() < deadline, "it goes on for nobody"
        time.sleep(0.02)


def active(server: httpx.Client) -> int:
    model = server.get("/health").json()["models"]["echo"]
    count: int = model["active"]
    return count


@pytest.mark.parametrize("name", EDITORS)
def test_editors_can_read_the_answer(server: httpx.Client, name: str) -> None:
    """Zed parses strictly: roles in lower case, an index in every piece of a call."""
    chunks = chunks_of(send(server, EDITORS[name]))
    asked = "stream_options" in EDITORS[name]["body"]
    assert [not chunk["choices"] for chunk in chunks] == [False] * (len(chunks) - asked) + (
        [True] * asked
    )
    assert chunks[-1].get("usage") if asked else chunks[-1]["choices"][0]["finish_reason"]
    for chunk in chunks[: len(chunks) - asked]:
        delta = chunk["choices"][0]["delta"]
        assert delta.get("role", "assistant") == "assistant"
        assert all(isinstance(call["index"], int) for call in delta.get("tool_calls", ()))
