"""Responses: whole and streamed, kept or not, and what of their requests they show."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from app.openai.models.conversations import ItemList
from tests.http.openai_wire import checked, error_of
from tests.http.responses_wire import (
    RESPONSES,
    refused,
    require_stored,
    respond,
    resumed,
    row_ids,
    streamed,
    text_of,
)
from tests.http.stored import listed, opened
from tests.http.vision import picture
from tests.store import audit


def test_a_text_is_answered_and_kept(me: httpx.Client) -> None:
    made = respond(me)
    assert text_of(made) == "one two three"
    assert (made["status"], made["error"], made["store"]) == ("completed", None, True)
    usage = made["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (3, 3, 6)
    require_stored(me, made)


def test_a_stream_says_the_same(me: httpx.Client) -> None:
    events = streamed(me)
    last = events[-1]["response"]
    assert events[-1]["type"] == "response.completed"
    assert text_of(last) == "one two three"
    require_stored(me, last)


def test_what_the_request_said_is_shown_again(me: httpx.Client) -> None:
    fields: dict[str, Any] = {
        "instructions": "Be brief.",
        "metadata": {"topic": "numbers"},
        "max_output_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.25,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.125,
        "truncation": "auto",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "reasoning": {"effort": "low", "summary": "auto"},
        "user": "somebody",
        "service_tier": "auto",
    }
    made = respond(me, **fields)
    shown = {name: made[name] for name in fields if name not in {"user", "service_tier"}}
    assert shown == {name: fields[name] for name in shown}
    require_stored(me, made)


def test_the_most_tokens_end_it_early(me: httpx.Client) -> None:
    made = respond(me, max_output_tokens=2)
    assert (made["status"], made["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert made["output"][0]["status"] == "incomplete"
    assert made["completed_at"] is None
    require_stored(me, made)
    assert streamed(me, max_output_tokens=2)[-1]["type"] == "response.incomplete"


def test_instructions_are_not_inherited(me: httpx.Client) -> None:
    first = respond(me, "a", instructions="one two three")
    assert first["usage"]["input_tokens"] == 4
    second = respond(me, "b", previous_response_id=first["id"])
    assert second["usage"]["input_tokens"] == 3
    assert second["instructions"] is None


def test_system_and_developer_messages_count(me: httpx.Client) -> None:
    given = [{"role": role, "content": "two words"} for role in ("system", "developer", "user")]
    assert respond(me, given)["usage"]["input_tokens"] == 6


def test_earlier_turns_may_come_with_the_input(me: httpx.Client) -> None:
    turns = [
        {"role": "user", "content": "My name is Alice."},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello Alice!", "annotations": []}],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]},
    ]
    made = respond(me, turns)
    assert (text_of(made), made["usage"]["input_tokens"]) == ("And?", 7)


def test_what_is_not_to_be_kept_is_not(me: httpx.Client) -> None:
    made = respond(me, store=False)
    assert text_of(made) == "one two three"
    assert listed(me) == []
    assert error_of(me.get(f"{RESPONSES}/{made['id']}"))[0] == 404
    assert text_of(streamed(me, store=False)[-1]["response"]) == "one two three"
    assert listed(me) == []


def test_what_is_not_kept_may_follow_what_is(me: httpx.Client) -> None:
    first = respond(me, "a b")
    second = respond(me, "c", store=False, previous_response_id=first["id"])
    assert (text_of(second), second["usage"]["input_tokens"]) == ("c", 5)
    refused(
        me, "previous_response_id", "previous_response_not_found", previous_response_id=second["id"]
    )


@pytest.mark.parametrize(
    ("param", "code", "options"),
    [
        ("previous_response_id", "previous_response_not_found", {"previous_response_id": "resp_1"}),
        ("unknown", "unknown_parameter", {"unknown": 1}),
        ("prompt", "unsupported_parameter", {"prompt": {"id": "p"}}),
        ("input", "invalid_value", {"input": []}),
        ("input[0].type", "invalid_value", {"input": [{"type": "web_search_call"}]}),
        ("input[0]", "invalid_value", {"input": [{"type": "function_call_output"}]}),
        (None, "invalid_value", {"background": True, "store": False}),
        ("truncation", "invalid_value", {"truncation": "never"}),
        ("text.format", "invalid_value", {"text": {"format": {"type": "json_schema"}}}),
    ],
)
def test_what_cannot_be_answered_is_refused(
    me: httpx.Client, param: str | None, code: str, options: dict[str, Any]
) -> None:
    refused(me, param, code, **options)
    assert listed(me) == []


def test_what_does_not_fit_is_refused_or_shortened(me: httpx.Client, echo: httpx.Client) -> None:
    first = respond(echo, "a " * 2500)
    more = {"model": "echo", "input": "b " * 2000, "previous_response_id": first["id"]}
    answer = echo.post(RESPONSES, json=more)
    assert error_of(answer) == (400, "invalid_request_error", "context_length_exceeded")
    made = echo.post(RESPONSES, json=more | {"truncation": "auto"}).json()
    assert made["usage"]["input_tokens"] == 2000


def test_a_picture_is_shown(me: httpx.Client) -> None:
    url = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    made = respond(me, [{"role": "user", "content": parts}], model="echo-vision")
    assert text_of(made).startswith("[image ")
    after = respond(me, "And now?", model="echo-vision", previous_response_id=made["id"])
    assert text_of(after).startswith("[image ")
    items = checked(ItemList, me.get(f"{RESPONSES}/{made['id']}/input_items").json())
    assert [part["type"] for part in items["data"][0]["content"]] == ["input_text", "input_image"]


def test_probabilities_of_tokens(me: httpx.Client) -> None:
    include = ["message.output_text.logprobs"]
    made = respond(me, include=include)
    (part,) = made["output"][0]["content"]
    assert "".join(token["token"] for token in part["logprobs"]) == "one two three"
    last = streamed(me, include=include, store=False)[-1]["response"]
    assert last["output"][0]["content"] == made["output"][0]["content"]


def test_what_the_input_was(me: httpx.Client) -> None:
    first = respond(me, "a")
    messages = [{"role": "developer", "content": "x"}, {"role": "user", "content": "b"}]
    second = respond(me, messages, previous_response_id=first["id"])
    path = f"{RESPONSES}/{second['id']}/input_items"
    every = checked(ItemList, me.get(path, params={"order": "asc"}).json())
    assert [(item["role"], item["content"][0]["text"]) for item in every["data"]] == [
        ("developer", "x"),
        ("user", "b"),
    ]
    page = me.get(path, params={"limit": 1}).json()
    assert (page["data"], page["has_more"]) == ([every["data"][1]], True)
    rest = me.get(path, params={"after": page["last_id"]}).json()
    assert (rest["data"], rest["has_more"]) == ([every["data"][0]], False)


def test_stored_items_may_be_named(me: httpx.Client, owner: Any) -> None:
    first = respond(me, "a b")
    named = {"type": "item_reference", "id": first["output"][0]["id"]}
    made = respond(
        me, [{"role": "user", "content": "a b"}, named, {"role": "user", "content": "c"}]
    )
    assert (text_of(made), made["usage"]["input_tokens"]) == ("c", 5)
    refused(owner(), "input[0].id", "invalid_value", input=[named])
    missing = named | {"id": "msg_1"}
    refused(me, "input[0].id", "invalid_value", input=[missing])


def test_tokens_are_counted_without_an_answer(me: httpx.Client) -> None:
    first = respond(me, "a b")
    body = {"model": "echo", "input": "c", "previous_response_id": first["id"]}
    answer = me.post(f"{RESPONSES}/input_tokens", json=body)
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 5}


def test_others_see_nothing_of_it(me: httpx.Client, owner: Any) -> None:
    made, other = respond(me), owner()
    path = f"{RESPONSES}/{made['id']}"
    assert error_of(other.get(path))[0] == 404
    assert error_of(other.delete(path))[0] == 404
    assert error_of(other.post(f"{path}/cancel"))[0] == 404
    assert error_of(other.get(f"{path}/input_items"))[0] == 404
    code = "previous_response_not_found"
    refused(other, "previous_response_id", code, previous_response_id=made["id"])
    require_stored(me, made)


def test_one_that_stands_alone_is_deleted_with_its_conversation(me: httpx.Client) -> None:
    made = respond(me)
    answer = me.delete(f"{RESPONSES}/{made['id']}")
    assert answer.json() == {"id": made["id"], "object": "response", "deleted": True}
    assert error_of(me.get(f"{RESPONSES}/{made['id']}"))[0] == 404
    assert listed(me) == []


def test_the_last_one_is_deleted_with_its_input(me: httpx.Client, url: str) -> None:
    first = respond(me, "apples")
    turns = [{"role": "developer", "content": "x"}, {"role": "user", "content": "pears"}]
    second = respond(me, turns, previous_response_id=first["id"])
    assert listed(me, query="pears")
    assert me.delete(f"{RESPONSES}/{second['id']}").status_code == 200
    assert not listed(me, query="pears")
    name, answer = row_ids(first["id"])
    assert [row.content for row in audit.messages(url, name)] == ["apples", "apples"]
    assert opened(me, name)["active_leaf_id"] == answer
    third = respond(me, "c", previous_response_id=first["id"])
    assert third["usage"]["input_tokens"] == 3


def test_one_that_others_follow_is_deleted_alone(me: httpx.Client) -> None:
    first = respond(me, "a")
    second = respond(me, "b", previous_response_id=first["id"])
    assert me.delete(f"{RESPONSES}/{first['id']}").status_code == 200
    assert error_of(me.get(f"{RESPONSES}/{first['id']}"))[0] == 404
    third = respond(me, "c", previous_response_id=second["id"])
    assert third["usage"]["input_tokens"] == 5
    assert resumed(me, second["id"])
