"""Tools on the wire: what is refused, what is skipped, and how calls are streamed."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from app.chat.choices import Choice
from app.chat.completion import Completion
from app.openai.chat_stream import ChatEncoder
from app.openai.models.answers import ChatCompletion, ChatCompletionChunk
from app.openai.models.chat import ChatBody
from app.openai.models.sampling import StreamOptions
from app.openai.translate.answers import AnswerHead, chat_completion
from app.openai.translate.tools import chosen_tools
from app.provider.types import (
    Delta,
    End,
    ThinkingDelta,
    Token,
    ToolCallDelta,
    ToolCallPart,
    ToolChoice,
    Usage,
)
from tests.http.openai_wire import (
    CHAT,
    QUESTION,
    chat,
    checked,
    chunks_of,
    refused,
    streamed,
    text_of,
)

HEAD = AnswerHead("m", "chatcmpl-1", 1)
ENDED = End("tool_calls", Usage(3, 4, 0))


def tool(name: str, **options: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **options}}


def body(**options: Any) -> ChatBody:
    return ChatBody.model_validate({"messages": [QUESTION], **options})


def test_tools_of_other_types_are_skipped_and_named(
    echo: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    other: list[dict[str, Any]] = [{"type": "web_search"}, {"type": "custom", "custom": {}}]
    tools = [*other, tool("f"), other[0]]
    for stream in (False, True):
        sent = {"model": "echo", "messages": [QUESTION], "tools": tools, "stream": stream}
        with caplog.at_level(logging.INFO, "app"):
            answer = echo.post(CHAT, json=sent)
        assert "'web_search', 'custom'" in caplog.text
        assert answer.status_code == 200
        assert answer.headers["x-skipped-tools"] == "web_search, custom"


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "web_search"},
        {"type": "custom", "custom": {"name": "patch"}},
        {"type": "function", "function": {"name": "other"}},
        {"type": "allowed_tools", "allowed_tools": {"tools": [{"type": "web_search"}]}},
        "any",
    ],
)
def test_a_choice_of_a_tool_that_is_not_there_is_refused(echo: httpx.Client, choice: Any) -> None:
    tools = [tool("f"), {"type": "web_search"}, {"type": "custom"}]
    answer = echo.post(CHAT, json={"messages": [QUESTION], "tools": tools, "tool_choice": choice})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "tool_choice"


def test_what_makes_no_sense_is_refused(echo: httpx.Client) -> None:
    refused(echo, "tool_choice", "unsupported_parameter", tool_choice="required")
    refused(echo, "tools", "invalid_value", tools=[tool("f"), tool("f")])
    refused(echo, "tools[0].function.name", "invalid_value", tools=[tool("f g")])
    refused(echo, "tools[0].function", "unsupported_parameter", tools=[{"type": "function"}])
    no_object = tool("f", parameters={"type": "string"})
    refused(echo, "tools[0].function.parameters", "invalid_value", tools=[no_object])


@pytest.mark.parametrize(
    ("choice", "expected", "names"),
    [
        (None, ToolChoice(), ["f", "g"]),
        ("none", ToolChoice("none"), ["f", "g"]),
        ("required", ToolChoice("required"), ["f", "g"]),
        ({"type": "function", "function": {"name": "g"}}, ToolChoice("required", "g"), ["g"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool("g")]}},
            ToolChoice(),
            ["g"],
        ),
    ],
)
def test_a_choice_as_the_engine_takes_it(
    choice: Any, expected: ToolChoice, names: list[str]
) -> None:
    chosen = chosen_tools(body(tools=[tool("f"), tool("g", strict=True)], tool_choice=choice))
    assert chosen.choice == expected
    assert [each.name for each in chosen.tools] == names
    assert chosen.tools[-1].strict
    assert json.loads(chosen.tools[0].parameters)["type"] == "object"


def test_at_most_one_call() -> None:
    chosen = chosen_tools(body(tools=[tool("f")], parallel_tool_calls=False))
    assert not chosen.choice.parallel


# ---------------------------------------------------------------- answers


def encoded(*events: Delta | ThinkingDelta | ToolCallDelta | End) -> list[dict[str, Any]]:
    encoder = ChatEncoder(HEAD, StreamOptions(include_usage=True), logprobs=True)
    text = encoder.start() + "".join(encoder.event(Choice(0, event)) for event in events)
    chunks = chunks_of(text + encoder.event(ENDED))
    return [checked(ChatCompletionChunk, chunk) for chunk in chunks]


def test_a_call_has_its_name_once_and_its_index_always() -> None:
    chunks = encoded(
        ThinkingDelta("hm"),
        ToolCallDelta(0, "call_1", "f", '{"a"'),
        ToolCallDelta(0, arguments=":1}"),
        ToolCallDelta(1, "call_2", "g"),
        ToolCallDelta(1, arguments="{}"),
        ENDED,
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[:2] == [{"role": "assistant", "content": None}, {"reasoning_content": "hm"}]
    pieces = [delta["tool_calls"][0] for delta in deltas[2:-1]]
    assert pieces == [
        {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "f", "arguments": ""},
        },
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ":1}"}},
        {
            "index": 1,
            "id": "call_2",
            "type": "function",
            "function": {"name": "g", "arguments": ""},
        },
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    # How many tokens the thinking took is not known.
    assert "completion_tokens_details" not in chunks[-1]["usage"]


def test_an_empty_answer_has_a_role_and_an_end() -> None:
    chunks = encoded(ENDED)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas == [{"role": "assistant", "content": ""}, {}]


def test_tokens_of_thinking_are_counted_where_they_came() -> None:
    token = Token(1, b"a", 0.0)
    chunks = encoded(ThinkingDelta("hm", (token, token)), Delta("a"), ENDED)
    assert chunks[-1]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}


def test_a_probability_of_zero_is_a_number() -> None:
    chunks = encoded(Delta("a", tokens=(Token(1, b"a", float("-inf")),)), ENDED)
    (found,) = chunks[1]["choices"][0]["logprobs"]["content"]
    assert found["logprob"] == -9999.0


@pytest.mark.parametrize(("text", "content"), [("", None), ("\n", None), ("See:", "See:")])
def test_content_is_null_beside_calls_alone(text: str, content: str | None) -> None:
    calls = (ToolCallPart("call_1", "f", "{}"),)
    completion = Completion(text, ENDED, thinking="hm", tool_calls=calls)
    answer = checked(ChatCompletion, chat_completion(HEAD, [completion], logprobs=False))
    message = answer["choices"][0]["message"]
    assert message["content"] == content
    assert message["reasoning_content"] == "hm"
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


# ---------------------------------------------------------------- through an engine

SPELLED = '<tool_call>\n{"name": "f", "arguments": {"city": "Paris"}}\n</tool_call>'
"""What the echo engine repeats, which is a call in the form that it is read in."""


def test_a_call_is_read_out_of_what_the_model_writes(echo: httpx.Client) -> None:
    asked = [{"role": "user", "content": SPELLED}]
    (choice,) = chat(echo, messages=asked, tools=[tool("f")])["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "f"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    assert call["id"]


def test_a_streamed_call_is_the_same(echo: httpx.Client) -> None:
    asked = [{"role": "user", "content": SPELLED}]
    chunks = streamed(echo, messages=asked, tools=[tool("f")])
    pieces = [
        piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert pieces[0]["function"] == {"name": "f", "arguments": ""}
    assert [piece for piece in pieces if "id" in piece] == pieces[:1]
    arguments = "".join(piece["function"]["arguments"] for piece in pieces)
    assert json.loads(arguments) == {"city": "Paris"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_without_tools_or_with_none_chosen_it_is_text(echo: httpx.Client) -> None:
    asked = [{"role": "user", "content": SPELLED}]
    for options in ({}, {"tools": [tool("f")], "tool_choice": "none"}):
        assert text_of(chat(echo, messages=asked, **options)) == SPELLED
