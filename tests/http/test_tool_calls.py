"""Tool calls and channels on their way through the server, from scripted models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.provider.formats.output_formats import HARMONY
from tests.conftest import serving
from tests.http.events import parsed
from tests.provider.scripted import make
from tests.provider.scripted_answer import script_of

END = "<|endoftext|>"
TEMPLATE = (
    "{{ tools | tojson if tools }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}{{ call | tojson }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}{# MARKS #}"
)
CHANNELS = (
    "<|channel|>analysis<|message|>They greet.<|end|><|start|>assistant<|channel|>final<|message|>"
    "안녕하세요!"
)
CALL = 'Wait.\n<tool_call>\n{"name": "weather", "arguments": {"unit": "도"}}\n</tool_call>'
PARAMETERS = {
    "type": "object",
    "properties": {"unit": {"const": "도"}},
    "required": ["unit"],
}
"""All of a call is certain: what the grammar of calls leaves open, the script does not know."""
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": PARAMETERS,
    },
}


def write_models(folder: Path, models: Mapping[str, tuple[str, Sequence[str], str]]) -> None:
    """Models that say a text: name → the text, its control tokens, what the template mentions."""
    for name, (text, control, marks) in models.items():
        script = script_of(text, control)
        make(
            folder / f"{name}.gguf",
            TEMPLATE.replace("MARKS", marks),
            [*script.tokens, END],
            control=("<|im_start|>", "<|im_end|>", END, *control),
            normal=script.normal,
            eos=END,
        )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    models = {
        "channels": (CHANNELS, sorted(HARMONY.markers), "<|channel|> <|message|>"),
        "caller": (CALL, [], "<tool_call> arguments"),
    }
    write_models(folder, models)
    with serving(models_dir=folder, enable_echo=False, kv_cache_mb=64) as client:
        yield client


def ask(client: httpx.Client, model: str, **fields: Any) -> httpx.Response:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 200}
    return client.post("/v1/chat/completions", json=body | fields)


def chunks(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line)["choices"][0] for line in lines]


@pytest.mark.parametrize("version", ["v1", "v3", "v4", "v5"])
def test_no_version_shows_channels(client: httpx.Client, version: str) -> None:
    asked = {"model": "channels", "message": "hi", "temperature": 0}

    body = client.post(f"/api/{version}/chat", json=asked).json()

    assert (body["message"]["content"], body["finish_reason"]) == ("안녕하세요!", "stop")


def test_a_stream_shows_no_channels(client: httpx.Client) -> None:
    asked = {"model": "channels", "message": "hi", "temperature": 0}

    events = parsed(client.post("/api/v2/chat/stream", json=asked).text)

    assert "".join(one.data["text"] for one in events if one.name == "delta") == "안녕하세요!"


def test_openai_clients_get_a_channel_of_thinking(client: httpx.Client) -> None:
    message = ask(client, "channels").json()["choices"][0]["message"]
    deltas = [one["delta"] for one in chunks(ask(client, "channels", stream=True))]

    assert message["content"] == "안녕하세요!"
    assert message["reasoning_content"] == "They greet."
    assert "".join(delta.get("content") or "" for delta in deltas) == "안녕하세요!"
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "They greet."


def test_a_call_is_one_of_a_whole_answer(client: httpx.Client) -> None:
    choice = ask(client, "caller", tools=[TOOL]).json()["choices"][0]

    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"unit": "도"}'}
    assert choice["message"]["content"] == "Wait."
    assert choice["finish_reason"] == "tool_calls"


def test_a_call_streams(client: httpx.Client) -> None:
    *begun, last = chunks(ask(client, "caller", tools=[TOOL], stream=True))

    calls = [call for one in begun for call in one["delta"].get("tool_calls", [])]
    assert calls[0]["function"] == {"name": "weather", "arguments": ""}
    assert all(set(one) == {"index", "function"} for one in calls[1:])
    assert "".join(one["function"]["arguments"] for one in calls) == '{"unit": "도"}'
    assert last["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("more", [{}, {"tools": [TOOL], "tool_choice": "none"}])
def test_without_tools_the_text_stays(client: httpx.Client, more: dict[str, Any]) -> None:
    choice = ask(client, "caller", **more).json()["choices"][0]

    assert choice["message"]["content"] == CALL
    assert not choice["message"].get("tool_calls")
