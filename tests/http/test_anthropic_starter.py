"""Anthropic's Messages API on the model that comes with the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.anthropic import (
    COUNT,
    MESSAGES,
    asked,
    assembled,
    body,
    parsed,
    refused,
    streamed,
    text_of,
)

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
SYSTEM = "You are a guide to this server. " * 12
BILLING = "x-anthropic-billing-header: cc_version=2.1.37.3a3; cc_entrypoint=cli; cch={};"
CLOCK = "Current date and time: Monday, March 9, 2026 at 06:00:{} PM PDT"


@pytest.fixture(scope="module")
def starter() -> Iterator[httpx.Client]:
    aliases = ("claude-sonnet-4-5=starter",)
    with serving(models_dir=MODELS, enable_echo=False, model_aliases=aliases) as client:
        yield client


def system(line: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": line}, {"type": "text", "text": SYSTEM}]


@pytest.mark.parametrize("line", [BILLING, CLOCK])
def test_a_line_that_changes_does_not_cost_the_computed_prompt(
    starter: httpx.Client, line: str
) -> None:
    greedy: dict[str, Any] = {"temperature": 0, "max_tokens": 12}
    question = {"role": "user", "content": f"How do I stream? {line[:12]}"}
    first = streamed(starter, question, system=system(line.format("11")), **greedy)
    shared = counted(starter, messages=[question], system=SYSTEM)
    turns = [question, {"role": "assistant", "content": text_of(first)}]
    turns.append({"role": "user", "content": "And then?"})
    second = streamed(starter, *turns, system=system(line.format("59")), **greedy)
    assert second["usage"]["cache_read_input_tokens"] >= 0.95 * shared


def test_neither_does_it_in_the_dialect_of_openai(starter: httpx.Client) -> None:
    question = {"role": "user", "content": "Where are the docs?"}
    shared = counted(starter, messages=[question], system=SYSTEM)
    cached = [
        chat(starter, {"role": "system", "content": f"{BILLING.format(turn)}\n{SYSTEM}"}, question)
        for turn in range(2)
    ]
    assert cached[1] >= 0.95 * shared


def chat(starter: httpx.Client, *messages: dict[str, Any]) -> int:
    """Tokens of the prompt that were not computed again."""
    answer = starter.post("/v1/chat/completions", json={"messages": messages, "max_tokens": 1})
    tokens: int = answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
    return tokens


def counted(starter: httpx.Client, **prompt: Any) -> int:
    tokens: int = starter.post(COUNT, json=prompt).json()["input_tokens"]
    return tokens


WEATHER = {
    "name": "weather",
    "description": "Tells the weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "days": {"enum": [1, 2, 3]},
        },
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}


def test_a_tool_is_called_and_its_result_is_read(starter: httpx.Client) -> None:
    question = {"role": "user", "content": "What is the weather in Seoul?"}
    chosen: dict[str, Any] = {"tools": [WEATHER], "temperature": 0, "max_tokens": 200}
    head = system(BILLING.format("1"))
    message = asked(starter, question, system=head, tool_choice={"type": "any"}, **chosen)
    named = {"type": "tool", "name": "weather"}
    pieces = streamed(starter, question, system=head, tool_choice=named, **chosen)
    assert (message["stop_reason"], pieces["stop_reason"]) == ("tool_use", "tool_use")
    (call,), (again,) = message["content"], pieces["content"]
    assert (call["name"], again["name"]) == ("weather", "weather")
    assert call["input"].keys() == {"city", "days"}
    assert call["input"] == again["input"]
    assert call["id"] != again["id"]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "sunny, 21 degrees"}
    turns = [question, {"role": "assistant", "content": message["content"]}]
    turns.append({"role": "user", "content": [result]})
    usage = asked(starter, *turns, system=system(BILLING.format("2")), **chosen)["usage"]
    shared = counted(starter, messages=[question], system=SYSTEM, tools=[WEATHER])
    assert usage["cache_read_input_tokens"] >= 0.95 * shared


def test_an_answer_keeps_to_a_schema(starter: httpx.Client) -> None:
    schema = {"enum": ["red", {"colour": "blue"}]}
    form = {"format": {"type": "json_schema", "schema": schema}}
    question = {"role": "user", "content": "A colour, please."}
    found = asked(starter, question, output_config=form, max_tokens=50)
    assert json.loads(text_of(found)) in schema["enum"]


def test_every_example_in_the_docs_runs_on_it(starter: httpx.Client) -> None:
    paths = starter.get("/api/anthropic/openapi.json").json()["paths"]
    for path in (MESSAGES, COUNT):
        content = paths[path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            response = starter.post(path, json=example["value"])
            assert response.status_code == 200, response.text
            if example["value"].get("stream"):
                assert assembled(parsed(response.text))["content"]


def test_names_of_claude_are_known_by_their_aliases_alone(starter: httpx.Client) -> None:
    question = {"role": "user", "content": "hi"}
    assert asked(starter, question, model="claude-sonnet-4-5", max_tokens=1)["model"] == "starter"
    unknown = starter.post(MESSAGES, json=body(question, model="claude-haiku-4-5"))
    assert refused(unknown)[:2] == (404, "not_found_error")


def test_a_prompt_template_may_be_named_with_the_model(starter: httpx.Client) -> None:
    question = {"role": "user", "content": "hi"}
    plain = asked(starter, question, max_tokens=1)
    framed = asked(starter, question, model="starter@code_assistant", max_tokens=1)
    assert framed["model"] == "starter@code_assistant"
    assert total_input(framed) > total_input(plain)


def total_input(message: dict[str, Any]) -> int:
    tokens: int = message["usage"]["input_tokens"] + message["usage"]["cache_read_input_tokens"]
    return tokens


def test_a_count_is_what_the_answer_reads(starter: httpx.Client) -> None:
    prompt = {"messages": [{"role": "user", "content": "안녕하세요!"}], "system": SYSTEM}
    usage = asked(starter, **prompt, max_tokens=1)["usage"]
    assert counted(starter, **prompt) == usage["input_tokens"] + usage["cache_read_input_tokens"]
