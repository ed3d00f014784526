"""Tools of responses: called, skipped, chosen; their results; and structured output."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.openai.models.response_input import InputItem
from app.openai.models.responses import ResponseBody
from app.openai.response_stream import ResponseEncoder
from app.openai.translate.response_input import input_messages
from app.openai.translate.responses import ResponseHead, request_fields
from app.provider.types import (
    Delta,
    End,
    ThinkingDelta,
    ThinkingPart,
    ToolCallDelta,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from tests.http.responses_wire import (
    CALL,
    RESPONSES,
    TOOL,
    events_of,
    refused,
    require_grammar,
    require_stored,
    respond,
    streamed,
    text_of,
)

NAMESPACE = {"type": "namespace", "name": "mcp", "tools": [TOOL]}
IDS = ("0" * 8 + "-0000-0000-0000-" + "0" * 12, "1" * 8 + "-1111-1111-1111-" + "1" * 12)
HEAD = ResponseHead(*IDS, "m", 1, {})


def test_a_call_is_an_item(me: httpx.Client) -> None:
    made = respond(me, CALL, tools=[TOOL])
    (call,) = made["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "f", "completed")
    assert call["arguments"] == '{"city": "Paris"}'
    require_stored(me, made)
    events = streamed(me, CALL, tools=[TOOL], store=False)
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["function_call"]


def test_a_result_is_answered(me: httpx.Client) -> None:
    first = respond(me, CALL, tools=[TOOL])
    call = first["output"][0]["call_id"]
    result = {"type": "function_call_output", "call_id": call, "output": "It is sunny."}
    made = respond(me, [result], previous_response_id=first["id"])
    assert made["status"] == "completed"
    whole = [{"role": "user", "content": CALL}, *first["output"], result]
    assert text_of(respond(me, whole, store=False)) == text_of(made)


def test_what_nothing_has_called_is_read_as_a_text(me: httpx.Client) -> None:
    goal = {"type": "function_call_output", "name": "goal_objective", "output": "Tidy up."}
    (message,) = input_messages([InputItem.model_validate(goal)], ())
    assert (message.role, message.text) == ("developer", "goal_objective: Tidy up.")
    asked = [{"role": "user", "content": "one"}, goal, {"role": "user", "content": "two three"}]
    for store in (True, False):
        assert respond(me, asked, store=store)["status"] == "completed"
    refused(me, "input[0]", "invalid_value", input=[goal | {"name": None}])


def test_tools_of_other_types_are_skipped_and_named(me: httpx.Client) -> None:
    tools = [NAMESPACE, {"type": "web_search"}, TOOL, {"type": "custom", "name": "apply patch"}]
    for more in ({}, {"stream": True}, {"background": True}):
        body = {"model": "echo", "input": "hi", "tools": tools} | more
        answer = me.post(RESPONSES, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-skipped-tools"] == "namespace, web_search, custom"
    assert [tool["name"] for tool in respond(me, tools=tools)["tools"]] == ["f"]


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"type": "function", "name": "g"}, "invalid_value"),
        ({"type": "web_search"}, "unsupported_parameter"),
        ("sometimes", "invalid_value"),
    ],
)
def test_a_choice_that_cannot_be_made(me: httpx.Client, choice: Any, code: str) -> None:
    refused(me, "tool_choice", code, tools=[TOOL], tool_choice=choice)


def test_a_choice_is_shown_again(me: httpx.Client) -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}
    assert respond(me, tools=[TOOL], tool_choice=choice)["tool_choice"] == choice


def test_a_schema_is_shown_again() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    wanted = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    body = ResponseBody.model_validate({"text": {"format": wanted}})
    assert request_fields(body, None)["text"]["format"] == wanted | {"description": None}


def test_the_parts_of_an_answer_are_one_message() -> None:
    sent: list[dict[str, Any]] = [
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": "Let me look."},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        {
            "type": "function_call_output",
            "call_id": "2",
            "output": [{"type": "input_text", "text": "y"}],
        },
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "alone"}]},
        {"type": "message", "role": "user", "content": "And?"},
    ]
    messages = input_messages([InputItem.model_validate(item) for item in sent], ())
    assert [message.role for message in messages] == ["assistant", "tool", "user"]
    kinds = [type(part) for part in messages[0].parts]
    assert kinds[0] is ThinkingPart
    assert kinds[2:] == [ToolCallPart, ToolCallPart]
    results = [part for part in messages[1].parts if isinstance(part, ToolResultPart)]
    assert [(part.call_id, part.text) for part in results] == [("1", "x"), ("2", "y")]


def test_thinking_text_and_calls_come_in_their_order() -> None:
    encoder = ResponseEncoder(HEAD)
    text = encoder.start()
    for event in (
        ThinkingDelta("They ask for "),
        ThinkingDelta("the weather."),
        Delta("\n\n"),
        Delta("Let me look."),
        ToolCallDelta(0, "call_1", "f", '{"city": "Seoul"}'),
        ToolCallDelta(1, "call_2", "f", "{}"),
        End("tool_calls", Usage(10, 8, 2)),
    ):
        text += encoder.event(event)
    events = events_of(text)
    require_grammar(events)
    last = events[-1]["response"]
    assert [item["type"] for item in last["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert last["usage"]["output_tokens_details"]["reasoning_tokens"] > 0


def test_white_space_beside_a_call_is_no_text() -> None:
    encoder = ResponseEncoder(HEAD)
    text = encoder.start() + encoder.event(Delta("\n"))
    text += encoder.event(ToolCallDelta(0, "call_1", "f", "{}"))
    text += encoder.event(End("tool_calls", Usage(1, 1, 0)))
    events = events_of(text)
    require_grammar(events)
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["function_call"]
