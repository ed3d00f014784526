"""The dialect of OpenAI with the model that comes with the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dialects.documents import documents
from tests.conftest import serving
from tests.http.openai_wire import (
    COMPLETIONS,
    INFILL,
    chat,
    chunks_of,
    completed,
    error_of,
    streamed,
    text_of,
    texts,
    tokens_of,
)
from tests.http.responses_wire import RESPONSES, events_of

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
HELLO = [{"role": "user", "content": "Hello! What are you?"}]
GREEDY: dict[str, Any] = {"model": "starter", "messages": HELLO, "temperature": 0}


@pytest.fixture(scope="module")
def starter() -> Iterator[httpx.Client]:
    with serving(models_dir=MODELS, enable_echo=False) as client:
        yield client


def test_every_documented_example_runs(starter: httpx.Client) -> None:
    ran = 0
    paths = documents()["openai"]()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            for example in content.get("application/json", {}).get("examples", {}).values():
                answer = starter.post(path, json=example["value"])
                assert answer.status_code == 200, answer.text
                if example["value"].get("stream"):
                    assert (events_of if path == RESPONSES else chunks_of)(answer.text)
                ran += 1
    assert ran == 38


def test_streams_and_whole_answers_are_alike(starter: httpx.Client) -> None:
    pieces = [
        chunk["choices"][0]["delta"].get("content", "") for chunk in streamed(starter, **GREEDY)
    ]
    assert "".join(pieces) == text_of(chat(starter, **GREEDY)) != ""


def test_a_seed_draws_the_same_answers_and_each_of_several_its_own(starter: httpx.Client) -> None:
    drawn = {**GREEDY, "temperature": 1.5, "seed": 7, "n": 3, "max_tokens": 12}
    first, second = chat(starter, **drawn), chat(starter, **drawn)
    assert first["choices"] == second["choices"]
    texts = [choice["message"]["content"] for choice in first["choices"]]
    assert len(set(texts)) > 1


def test_the_next_turn_computes_nothing_again(starter: httpx.Client) -> None:
    answer = chat(starter, **GREEDY)
    history = [*HELLO, answer["choices"][0]["message"], {"role": "user", "content": "Thanks!"}]
    usage = chat(starter, **{**GREEDY, "messages": history})["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > answer["usage"]["prompt_tokens"]


def test_a_biased_token_is_never_drawn(starter: httpx.Client) -> None:
    (choice,) = chat(starter, **GREEDY, max_tokens=1, logprobs=True, top_logprobs=1)["choices"]
    text = choice["logprobs"]["content"][0]["token"]
    (token,) = starter.post("/v1/tokenize", json={"prompt": text}).json()["tokens"]
    (other,) = chat(starter, **GREEDY, max_tokens=1, logit_bias={str(token): -100})["choices"]
    assert other["message"]["content"] != text


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "tiny": {"type": "boolean"}},
    "required": ["name", "tiny"],
    "additionalProperties": False,
}


def test_json_matches_the_schema_and_is_shown_to_be_cut(starter: httpx.Client) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "about", "schema": SCHEMA}}
    for asked in (wanted, {"type": "json_object", "schema": SCHEMA}):
        found = json.loads(text_of(chat(starter, **GREEDY, response_format=asked)))
        assert found.keys() == {"name", "tiny"}
    (cut,) = chat(starter, **GREEDY, response_format=wanted, max_tokens=3)["choices"]
    assert cut["finish_reason"] == "length"


@pytest.mark.parametrize("name", ["structured_outputs", "guided"])
def test_an_answer_keeps_to_a_choice_or_an_expression(starter: httpx.Client, name: str) -> None:
    def asked(**kind: Any) -> dict[str, Any]:
        if name == "guided":
            return {f"guided_{key}": value for key, value in kind.items()}
        return {"structured_outputs": kind}

    assert text_of(chat(starter, **GREEDY, **asked(choice=["left", "right"]))) in {"left", "right"}
    assert text_of(chat(starter, **GREEDY, **asked(regex="[0-9]{3}"))).isdecimal()
    assert text_of(chat(starter, **GREEDY, **asked(grammar='start: "a" "b"'))) == "ab"
    found = json.loads(text_of(chat(starter, **GREEDY, **asked(json=SCHEMA))))
    assert found.keys() == {"name", "tiny"}


def test_a_schema_that_cannot_be_enforced_is_refused_by_its_keywords(starter: httpx.Client) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "no", "schema": {"not": {}}}}
    for stream in (False, True):
        body = {**GREEDY, "response_format": wanted, "stream": stream}
        answer = starter.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400
        assert "not" in answer.json()["error"]["message"]
        assert answer.json()["error"]["code"] == "unsupported_constraint"


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 8}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time", "strict": True}}


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_a_call_that_must_be_made_is_valid_and_can_be_answered(
    starter: httpx.Client, choice: Any
) -> None:
    tools = {"tools": [WEATHER, TIME], "tool_choice": choice, "temperature": 1.5, "seed": 3}
    (answer,) = chat(starter, **GREEDY | tools, parallel_tool_calls=False)["choices"]
    assert answer["finish_reason"] == "tool_calls"
    (call,) = answer["message"]["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    assert arguments.keys() == ({"city"} if call["function"]["name"] == "get_weather" else set())
    if choice != "required":
        assert call["function"]["name"] == "get_weather"
    result = {"role": "tool", "tool_call_id": call["id"], "content": "Sunny, 21 degrees."}
    messages = [*HELLO, answer["message"], result]
    assert text_of(chat(starter, **GREEDY | {"messages": messages, "tools": [WEATHER, TIME]}))


# ---------------------------------------------------------------- completions


def test_the_starter_continues_its_own_tokens(starter: httpx.Client) -> None:
    drawn = {"temperature": 0, "max_tokens": 8}
    tokens = tokens_of(starter, prompt="Hello! I am")["tokens"]
    by_text, by_tokens = (
        completed(starter, prompt="Hello! I am", **drawn),
        completed(starter, prompt=tokens, **drawn),
    )
    assert by_text["choices"] == by_tokens["choices"]
    assert by_tokens["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_the_starter_says_how_likely_its_tokens_were(starter: httpx.Client) -> None:
    (choice,) = completed(starter, temperature=0, max_tokens=4, logprobs=3)["choices"]
    found = choice["logprobs"]
    assert "".join(found["tokens"]) == choice["text"]
    assert all(len(likeliest) == 3 for likeliest in found["top_logprobs"])


def test_the_starter_has_no_tokens_for_a_gap(starter: httpx.Client) -> None:
    for route in (COMPLETIONS, INFILL):
        answer = starter.post(route, json={"prompt": "a", "suffix": "b"})
        assert error_of(answer)[0] == 400


def test_the_starter_keeps_to_a_constraint(starter: httpx.Client) -> None:
    body = {"prompt": "One of:", "structured_outputs": {"choice": ["left", 'a "right"']}}
    assert texts(completed(starter, **body))[0] in {"left", 'a "right"'}
