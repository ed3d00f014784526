"""Presets that bound the context of requests, or say how long their model stays loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.presets import declare, posted, refused
from tests.mcp.connecting import called, connected, data, refusal

LENGTH = 8
QUESTION = "one two three four five six"
"""Six tokens of echo, which leave two for an answer."""
ANSWER = "one two"
LONG = "one two three four five six seven eight nine"
USER = {"role": "user", "content": QUESTION}
TOO_LONG = {"role": "user", "content": LONG}
SMALL, WIDE = 40, 100
"""Of conversations; of those with summaries, whose task takes some forty words."""


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    declare(folder, "narrow", model="echo", context_length=LENGTH)
    declare(folder, "small", model="echo", context_length=SMALL)
    declare(folder, "wide", model="echo", context_length=WIDE)
    declare(folder, "huge", model="echo", context_length=5000)
    declare(folder, "brief", model="echo", ttl_seconds=0)
    return folder


@pytest.fixture(scope="module")
def client(models_dir: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=models_dir, default_max_tokens=10) as client:
        yield client


@pytest.mark.parametrize("version", range(1, 7))
def test_the_api_shows_the_bound_and_keeps_it(client: httpx.Client, version: int) -> None:
    listed = client.get(f"/api/v{version}/models").json()["models"]
    lengths = {one["id"]: one["context_length"] for one in listed}
    assert (lengths["narrow"], lengths["echo"]) == (LENGTH, 4096)
    route = f"/api/v{version}/chat"
    found = posted(client, route, message=QUESTION, model="narrow")
    assert found["message"]["content"].strip() == ANSWER
    assert found["finish_reason"] == "length"
    assert f"{LENGTH}" in refused(client, route, 400, message=LONG, model="narrow")
    assert posted(client, route, message=LONG, model="echo")["message"]["content"] == LONG


def test_more_than_the_model_has_is_a_problem(client: httpx.Client) -> None:
    found = client.get("/api/v6/models/huge").json()
    assert "5000 tokens, but its model 'echo' has 4096" in found["problem"]


def test_openais_dialect(client: httpx.Client) -> None:
    shown = client.get("/v1/models/narrow").json()
    assert (shown["context_length"], shown["max_model_len"]) == (LENGTH, LENGTH)
    found = posted(client, "/v1/chat/completions", model="narrow", messages=[USER])
    assert found["choices"][0]["message"]["content"].strip() == ANSWER
    assert found["choices"][0]["finish_reason"] == "length"
    text = refused(client, "/v1/chat/completions", 400, model="narrow", messages=[TOO_LONG])
    assert "context_length_exceeded" in text
    counted = posted(client, "/v1/tokenize", model="narrow", messages=[TOO_LONG])
    assert (counted["count"], counted["max_model_len"]) == (9, LENGTH)


def test_a_raw_prompt(client: httpx.Client) -> None:
    found = posted(client, "/v1/completions", model="narrow", prompt=QUESTION, max_tokens=9)
    assert found["choices"][0]["text"].strip() == ANSWER
    assert found["choices"][0]["finish_reason"] == "length"
    text = refused(client, "/v1/completions", 400, model="narrow", prompt=LONG)
    assert "context_length_exceeded" in text


def test_openais_responses(client: httpx.Client) -> None:
    found = posted(client, "/v1/responses", model="narrow", input=QUESTION)
    assert found["output"][0]["content"][0]["text"].strip() == ANSWER
    assert found["incomplete_details"]["reason"] == "max_output_tokens"
    text = refused(client, "/v1/responses", 400, model="narrow", input=LONG)
    assert "context_length_exceeded" in text


def test_anthropics_messages(client: httpx.Client) -> None:
    body = {"model": "narrow", "max_tokens": 50}
    found = posted(client, "/v1/messages", **body, messages=[USER])
    assert found["content"][0]["text"].strip() == ANSWER
    assert found["stop_reason"] == "model_context_window_exceeded"
    text = refused(client, "/v1/messages", 400, **body, messages=[TOO_LONG])
    assert f"9 tokens > {LENGTH}" in text


async def test_the_model_context_protocol(client: httpx.Client) -> None:
    async with connected(client) as mcp:
        listed = {one["id"]: one for one in (await data(mcp, "list_models"))["models"]}
        assert listed["narrow"]["context_length"] == LENGTH
        assert (await called(mcp, "chat", message=QUESTION, model="narrow"))[0].strip() == ANSWER
        assert f"{LENGTH}" in await refusal(mcp, "chat", message=LONG, model="narrow")


@pytest.mark.parametrize(
    ("preset", "overflow"), [("small", "drop_oldest"), ("small", "error"), ("wide", "summarise")]
)
def test_a_conversation_overflows_as_in_a_model_of_that_length(
    client: httpx.Client, tmp_path: Path, preset: str, overflow: str
) -> None:
    length = SMALL if preset == "small" else WIDE
    with serving(models_dir=tmp_path, context_length=length, default_max_tokens=10) as short:
        expected = _turns(short, length, model="echo", overflow=overflow)
    assert _turns(client, length, model=preset, overflow=overflow) == expected
    codes = [found.get("code") for found in expected]
    assert ("context-length-exceeded" in codes) == (overflow == "error")


def _turns(client: httpx.Client, length: int, **chosen: Any) -> list[dict[str, Any]]:
    """What turns of two words show, until the context has been full for some turns."""
    shown: list[dict[str, Any]] = []
    here: dict[str, str] = {}
    for turn in range(length // 4 + 4):
        body = {"message": f"turn {turn}", **chosen, **here}
        found = client.post("/api/v6/chat", json=body).json()
        here = {"conversation_id": found.get("conversation_id") or here["conversation_id"]}
        shown.append(_numbers(found))
    return shown


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    if "context" not in found:
        return {name: found[name] for name in ("code", "detail")}
    context = found["context"]
    sizes = {name: context[name] for name in ("prompt_tokens", "limit")}
    left_out = {name: len(context[name]) for name in ("dropped", "summarised")}
    return sizes | left_out | {"text": found["message"]["content"]}


@pytest.mark.parametrize("version", [4, 5, 6])
def test_tokens_are_counted_against_it(client: httpx.Client, version: int) -> None:
    found = posted(client, f"/api/v{version}/tokens", message=LONG, model="narrow")
    assert (found["prompt_tokens"], found["limit"], found["fits"]) == (9, LENGTH, False)


def test_its_model_is_unloaded_after_its_time(client: httpx.Client) -> None:
    posted(client, "/api/v6/chat", message="hi", model="brief")
    end = time.monotonic() + 60
    while client.get("/api/v6/models/echo").json()["state"] != "unloaded":
        assert time.monotonic() < end
        time.sleep(0.05)
