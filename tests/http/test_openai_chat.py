"""POST /v1/chat/completions, on a real socket with the echo engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.openai.models.base import HARMLESS
from app.v5.models.chat import RED_CIRCLE
from tests.conftest import serving
from tests.http.openai_wire import (
    CHAT,
    QUESTION,
    chat,
    error_of,
    refused,
    streamed,
    text_of,
)

PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED_CIRCLE}"}}
SHOWN = "[image 112x112"


def test_a_whole_answer(echo: httpx.Client) -> None:
    answer = chat(echo)
    assert answer["model"] == "echo"
    assert answer["id"].startswith("chatcmpl-")
    assert abs(answer["created"] - time.time()) < 60
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "one two three"
    assert choice["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 6
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}


def test_a_stream_says_the_same(echo: httpx.Client) -> None:
    first, *pieces, last = streamed(echo)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces) == "one two three"
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert len({chunk["id"] for chunk in [first, *pieces, last]}) == 1
    assert all("usage" not in chunk for chunk in [first, *pieces, last])


def test_the_usage_comes_last_where_it_was_asked_for(echo: httpx.Client) -> None:
    *chunks, last = streamed(echo, stream_options={"include_usage": True})
    assert last["choices"] == []
    assert last["usage"] == chat(echo)["usage"]
    assert all(chunk["choices"] and chunk["usage"] is None for chunk in chunks)


def test_several_answers_are_told_apart(echo: httpx.Client) -> None:
    whole = chat(echo, n=3)
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in whole["choices"]} == {"one two three"}
    assert whole["usage"]["prompt_tokens"] == 3
    assert whole["usage"]["completion_tokens"] == 9

    chunks = streamed(echo, n=3, stream_options={"include_usage": True})
    texts = dict.fromkeys(range(3), "")
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
    assert set(texts.values()) == {"one two three"}
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]].count("stop") == 3
    assert chunks[-1]["usage"] == whole["usage"]


def test_a_limit_cuts_the_answer_and_says_so(echo: httpx.Client) -> None:
    for limit in ({"max_tokens": 2}, {"max_completion_tokens": 2, "max_tokens": 1}):
        (choice,) = chat(echo, **limit)["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("one two ", "length")
    assert text_of(chat(echo, max_tokens=-1)) == "one two three"


@pytest.mark.parametrize("stop", ["two", ["three", "two", ""]])
def test_a_stop_text_ends_the_answer(echo: httpx.Client, stop: object) -> None:
    assert text_of(chat(echo, stop=stop)) == "one "


def test_tokens_with_their_probabilities(echo: httpx.Client) -> None:
    (choice,) = chat(echo, logprobs=True, top_logprobs=2)["choices"]
    content = choice["logprobs"]["content"]
    assert [token["token"] for token in content] == ["one ", "two ", "three"]
    assert content[0]["bytes"] == list(b"one ")
    chunks = streamed(echo, logprobs=True)
    streamed_tokens = [
        token
        for chunk in chunks
        if (found := chunk["choices"][0]["logprobs"])
        for token in found["content"]
    ]
    assert streamed_tokens == content


# ---------------------------------------------------------------- messages


def test_every_kind_of_message_is_taken(echo: httpx.Client) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "first", "name": "Anna"},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "42"}]},
        {"role": "assistant", "content": "It is 42.", "reasoning": "oh", "refusal": None},
        {"role": "user", "content": [{"type": "text", "text": "last"}], "cache_control": {}},
    ]
    assert text_of(chat(echo, messages=messages)) == "last"


def test_pictures_go_to_a_model_that_sees(echo: httpx.Client) -> None:
    asked = [{"role": "user", "content": [PICTURE, {"type": "text", "text": "what"}]}]
    for named in ({"model": "echo-vision"}, {"model": None}):
        answer = chat(echo, messages=asked, **named)
        assert answer["model"] == "echo-vision"
        assert text_of(answer).startswith(SHOWN)
    body = {"messages": asked, "model": "echo"}
    assert error_of(echo.post(CHAT, json=body))[::2] == (400, "model_cannot_see")


def test_a_picture_that_is_none_is_refused(echo: httpx.Client) -> None:
    broken = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = [{"role": "user", "content": [broken]}]
    answer = echo.post(CHAT, json={"messages": asked, "model": "echo-vision"})
    assert error_of(answer)[0] == 415


def test_without_a_model_the_default_one_answers(echo: httpx.Client) -> None:
    assert chat(echo, model=None)["model"] == "echo"


# ---------------------------------------------------------------- fields


def test_harmless_fields_change_nothing(echo: httpx.Client) -> None:
    harmless: dict[str, Any] = {name: {"any": "thing"} for name in HARMLESS}
    assert text_of(chat(echo, **harmless, modalities=["text"], audio=None)) == "one two three"


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"audio": {"voice": "x"}}, "audio", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
        ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
        ({"temperatur": 1}, "temperatur", "unknown_parameter"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "bard"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0]", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
        ),
        ({"messages": [{"role": "system", "content": [PICTURE]}]}, "messages[0].content", None),
        ({"n": 9}, "n", "invalid_value"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "invalid_value"),
        ({"top_logprobs": 2}, None, "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"logit_bias": {"one": 1}}, "logit_bias.one.[key]", "invalid_value"),
        ({"logit_bias": {str(i): 1 for i in range(1025)}}, "logit_bias", "invalid_value"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}] * 129}, "tools", None),
        ({"response_format": {"type": "json_schema"}}, "response_format", "invalid_value"),
        (
            {"response_format": {"type": "json_object", "schema": 1}},
            "response_format.schema",
            "invalid_value",
        ),
        (
            {"guided_regex": "a", "response_format": {"type": "json_object"}},
            "guided_regex",
            "invalid_value",
        ),
        ({"reasoning_effort": "utmost"}, "reasoning_effort", "invalid_value"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    echo: httpx.Client, options: dict[str, Any], param: str | None, code: str | None
) -> None:
    body = {"model": "echo", "messages": [QUESTION]} | options
    answer = echo.post(CHAT, json=body)
    status, kind, found = error_of(answer)
    assert (status, kind) == (400, "invalid_request_error"), answer.text
    assert answer.json()["error"]["param"] == param
    assert found == (code or found)


def test_too_long_a_history_is_refused(echo: httpx.Client) -> None:
    assert text_of(chat(echo, messages=[QUESTION] * 101)) == "one two three"
    refused(echo, "messages", "invalid_value", messages=[QUESTION] * 102)


def test_a_prompt_that_does_not_fit_has_the_code_that_clients_know(echo: httpx.Client) -> None:
    long = [{"role": "user", "content": "word " * 5000}]
    answer = echo.post(CHAT, json={"messages": long})
    assert "prompt is too long" in answer.json()["error"]["message"]
    refused(echo, "messages", "context_length_exceeded", messages=long)
    refused(echo, "messages", "context_length_exceeded", messages=long, stream=True)


def test_a_body_that_is_no_json(echo: httpx.Client) -> None:
    answer = echo.post(CHAT, content=b"{", headers={"Content-Type": "application/json"})
    assert error_of(answer) == (400, "invalid_request_error", "invalid_json")
    assert error_of(echo.post(CHAT, content=b"{}"))[0] == 415


# ---------------------------------------------------------------- templates


@pytest.fixture(scope="module")
def templated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("prompts")
    (folder / "loud.json").write_text(
        '{"name": "loud", "description": "d", "system": "Shout.", "user": "LOUD {{ message }}"}'
    )
    (folder / "needy.json").write_text(
        '{"name": "needy", "description": "d", "system": "{{ x }}",'
        ' "variables": {"x": {"type": "string", "required": true}}}'
    )
    with serving(models_dir=tmp_path_factory.mktemp("none"), prompts_dir=folder) as client:
        yield client


def test_a_template_frames_the_last_question(templated: httpx.Client) -> None:
    messages = [QUESTION, {"role": "assistant", "content": "x"}, {"role": "user", "content": "hi"}]
    answer = chat(templated, model="echo@loud", messages=messages)
    assert answer["model"] == "echo@loud"
    assert text_of(answer) == "LOUD hi"
    assert answer["usage"]["prompt_tokens"] == 7  # the system text is one word
    with_system = [{"role": "system", "content": "Do not shout."}, *messages]
    answer = chat(templated, model="echo@loud", messages=with_system)
    assert answer["usage"]["prompt_tokens"] == 9


def test_pictures_stay_beside_a_framed_question(templated: httpx.Client) -> None:
    asked = [{"role": "user", "content": [{"type": "text", "text": "what"}, PICTURE]}]
    text = text_of(chat(templated, model="echo-vision@loud", messages=asked))
    assert text.startswith(SHOWN)
    assert text.endswith("LOUD what")


def test_a_template_that_needs_variables_is_refused(templated: httpx.Client) -> None:
    refused(templated, "variables.x", "invalid_value", model="echo@needy")
    answer = templated.post(CHAT, json={"model": "echo@none", "messages": [QUESTION]})
    assert error_of(answer)[::2] == (404, "model_not_found")
