"""Anthropic's Messages API on the echo engine, over real sockets."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.http.anthropic import COUNT, MESSAGES, USER, asked, body, refused, streamed, text_of
from tests.http.vision import picture

ECHO = {"model": "echo"}


def turn(role: str, *blocks: dict[str, Any] | str) -> dict[str, Any]:
    made = [{"type": "text", "text": one} if isinstance(one, str) else one for one in blocks]
    return {"role": role, "content": made}


def image(content: bytes, media_type: str = "image/png") -> dict[str, Any]:
    data = base64.b64encode(content).decode()
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source, "cache_control": {"type": "ephemeral"}}


def test_a_whole_answer(echo: httpx.Client) -> None:
    message = asked(echo, **ECHO)
    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "echo",
        "content": [{"type": "text", "text": "one two three"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 3,
        },
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_tokens": 2},
        {"stop_sequences": ["x", "two"]},
        {"messages": [{"role": "user", "content": " 안녕 👋🏽 \n"}]},
        {"stop_sequences": ["one"]},
    ],
)
def test_a_stream_makes_the_same_message(echo: httpx.Client, options: dict[str, Any]) -> None:
    whole, pieces = asked(echo, **ECHO | options), streamed(echo, **ECHO | options)
    assert whole.pop("id") != pieces.pop("id")
    assert whole == pieces


@pytest.mark.parametrize(
    ("options", "reason", "stop", "text"),
    [
        ({}, "end_turn", None, "one two three"),
        ({"max_tokens": 2}, "max_tokens", None, "one two "),
        ({"stop_sequences": ["x", "two"]}, "stop_sequence", "two", "one "),
    ],
)
def test_it_says_why_it_ended(
    echo: httpx.Client, options: dict[str, Any], reason: str, stop: str | None, text: str
) -> None:
    message = asked(echo, **ECHO | options)
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, stop)
    assert text_of(message) == text


def test_an_answer_without_text_has_no_blocks(echo: httpx.Client) -> None:
    assert asked(echo, **ECHO, stop_sequences=["one"])["content"] == []


def test_clients_fields_that_change_nothing_are_ignored(echo: httpx.Client) -> None:
    ignored: dict[str, Any] = {
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "cache_control": {"type": "ephemeral"},
        "container": None,
        "mcp_servers": [],
        "thinking": {"type": "disabled"},
    }
    blocks = [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]
    answer = echo.post(
        f"{MESSAGES}?beta=true",
        json=body({"role": "user", "content": blocks}, system=blocks, **ECHO, **ignored),
        headers={"anthropic-version": "2023-06-01", "anthropic-beta": "a,b", "x-api-key": "any"},
    )
    assert text_of(answer.json()) == "hi"


def test_the_default_model_answers_where_none_is_named(echo: httpx.Client) -> None:
    assert asked(echo)["model"] == "echo"


def test_pictures_go_to_a_model_that_sees(echo: httpx.Client) -> None:
    png, jpeg = picture(40, 30), picture(50, 20, "JPEG")
    urls = {"url": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}", "type": "url"}
    question = turn(
        "user", image(png), "what is it?", {"type": "image", "source": urls}, image(png)
    )
    message = asked(echo, question)
    assert message["model"] == "echo-vision"
    shown = [part.split()[0] for part in text_of(message).split("[image ")[1:]]
    assert shown == ["40x30", "50x20", "40x30"]
    assert "what is it?" in text_of(message)


def test_a_picture_may_be_the_result_of_a_tool(echo: httpx.Client) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sky"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [image(picture(40, 30))]}
    turns = [turn("user", "look"), turn("assistant", call), turn("user", result, "and?")]
    assert text_of(asked(echo, *turns)) == "[image 40x30 " + text_of(asked(echo, *turns))[13:]


def test_a_model_that_sees_nothing_is_not_replaced(echo: httpx.Client) -> None:
    answer = echo.post(MESSAGES, json=body(turn("user", image(picture())), **ECHO))
    status, kind, message = refused(answer)
    assert (status, kind) == (400, "invalid_request_error")
    assert "echo-vision" in message


def test_tokens_are_counted_without_an_answer(echo: httpx.Client) -> None:
    question = body(system="be kind", **ECHO)
    assert refused(echo.post(COUNT, json=question))[0] == 400  # max_tokens is not of the prompt
    del question["max_tokens"]
    counted = echo.post(f"{COUNT}?beta=true", json=question)
    assert (counted.status_code, counted.json()) == (200, {"input_tokens": 5})
    assert counted.headers["request-id"] == counted.headers["x-request-id"]


def test_a_prompt_that_is_too_long_is_counted_too(echo: httpx.Client) -> None:
    long = {"role": "user", "content": "word " * 5000}
    assert echo.post(COUNT, json={"messages": [long]}).json() == {"input_tokens": 5000}
    status, kind, message = refused(echo.post(MESSAGES, json=body(long)))
    assert (status, kind) == (400, "invalid_request_error")
    assert message == "prompt is too long: 5000 tokens > 4096 maximum"


def test_tools_that_are_not_run_here_are_named(echo: httpx.Client) -> None:
    tools = [{"type": kind, "name": "x"} for kind in ("web_search_20250305", "bash_20250124")]
    answer = echo.post(MESSAGES, json=body(tools=tools, **ECHO))
    assert text_of(answer.json()) == USER["content"]
    assert answer.headers["x-skipped-tools"] == "web_search_20250305, bash_20250124"
