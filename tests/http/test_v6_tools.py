"""Thinking, tools and structured output in conversations of v6."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.provider.formats.output_formats import HARMONY
from app.storage.database import Database
from tests.conftest import serving
from tests.http.frozen import require_valid
from tests.http.resuming import CHAT, Copy, asked, events, path_of
from tests.http.stored import found, refused
from tests.http.test_tool_calls import CALL, CHANNELS, PARAMETERS, write_models
from tests.http.test_unlisted_messages import owner_of
from tests.provider.scripted import CHATML, CONTROL, make
from tests.store import audit
from tests.store.tools import DEVELOPER, TURN, append

TOOL = {"name": "weather", "description": "Tells the weather.", "parameters": PARAMETERS}
ARGUMENTS = '{"unit": "도"}'
DRAWN = {"temperature": 0, "max_tokens": 200}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    models = {
        "channels": (CHANNELS, sorted(HARMONY.markers), "<|channel|> <|message|>"),
        "caller": (CALL, [], "<tool_call> arguments"),
        "talker": ('{"a": 1}', [], ""),
    }
    write_models(folder, models)
    lone = ["p", "l", "</think>", "y", "e", "s", "<|im_end|>"]
    file, user = folder / "lone.gguf", ("<think>", "</think>")
    make(file, CHATML, lone, CONTROL, user, eos="<|im_end|>", ctx=2**12)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=folder, enable_echo=False, kv_cache_mb=64) as client:
        yield client


def place(ids: dict[str, Any]) -> str:
    return f"/api/v6/conversations/{ids['conversation_id']}"


def messages(client: httpx.Client, ids: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = found(client.get(place(ids), params=query))["messages"]
    return listed


# ---------------------------------------------------------------- thinking


def test_thinking_is_streamed_and_kept(client: httpx.Client) -> None:
    copy = asked(client, "hi", model="channels", **DRAWN)
    assert (copy.thinking, copy.text) == ("They greet.", "안녕하세요!")
    assert copy.last_id == f"{copy.head['message_id']}:6:11"
    answer = messages(client, copy.head)[-1]
    assert (answer["thinking"], answer["content"]) == ("They greet.", "안녕하세요!")
    assert (answer["status"], answer["listed"]) == ("complete", True)


def test_thinking_is_a_part_of_whole_answers(client: httpx.Client) -> None:
    body = {"message": "hi", "model": "channels"} | DRAWN
    answer = found(client.post(CHAT, json=body))
    assert answer["message"]["thinking"] == "They greet."
    assert answer["message"]["content"] == "안녕하세요!"


@pytest.mark.parametrize(
    ("position", "thinking", "text", "resets"),
    [
        ("0", "They greet.", "안녕하세요!", 0),
        ("0:5", "greet.", "안녕하세요!", 0),
        ("0:11", "", "안녕하세요!", 0),
        ("2:11", "", "하세요!", 0),
        ("6:11", "", "", 0),
        ("2", "They greet.", "안녕하세요!", 1),  # what was thinking may have been text then
        ("0:12", "They greet.", "안녕하세요!", 1),
    ],
)
def test_thinking_is_continued(
    client: httpx.Client, position: str, thinking: str, text: str, resets: int
) -> None:
    head = asked(client, "hi", model="channels", **DRAWN).head
    sent = {"Last-Event-ID": f"{head['message_id']}:{position}"}
    pieces: dict[str, list[dict[str, Any]]] = {}
    with client.stream("GET", path_of(head), headers=sent) as answer:
        for event in events(answer):
            pieces.setdefault(event.name, []).append(event.data)
    shown = [pieces.get("reset", []), pieces.get("thinking", []), pieces.get("delta", [])]
    assert len(shown[0]) == resets
    if resets:
        assert shown == [[{"text": text, "thinking": thinking}], [], []]
    else:
        assert "".join(one["text"] for one in shown[1]) == thinking
        assert "".join(one["text"] for one in shown[2]) == text


def test_a_number_alone_takes_the_thinking_for_granted(client: httpx.Client) -> None:
    head = asked(client, "hi", model="channels", **DRAWN).head
    with client.stream("GET", path_of(head), params={"after": "2"}) as answer:
        names = [event.name for event in events(answer)]
    assert names == ["message", "delta", "done"]


def test_v5_sees_the_answer_without_the_thinking(client: httpx.Client) -> None:
    head = asked(client, "hi", model="channels", **DRAWN).head
    opened = client.get(place(head).replace("v6", "v5"))
    require_valid("v5", "/conversations/{conversation_id}", opened)
    assert [one["content"] for one in found(opened)["messages"]] == ["hi", "안녕하세요!"]
    assert "greet" not in opened.text


def test_text_that_turns_out_to_be_thinking_becomes_that(client: httpx.Client) -> None:
    copy = asked(client, "hi", model="lone", **DRAWN)
    assert (copy.text, copy.thinking) == ("yes", "pl")
    again = Copy(head=copy.head)
    again.resume(client)
    assert (again.text, again.thinking, again.resets) == ("yes", "pl", 0)
    answer = messages(client, copy.head)[-1]
    assert (answer["content"], answer["thinking"]) == ("yes", "pl")


# ---------------------------------------------------------------- tools


def called(client: httpx.Client, **body: Any) -> Copy:
    return asked(client, "Rain?", model="caller", tools=[TOOL], **DRAWN, **body)


def test_a_call_comes_just_before_the_end(client: httpx.Client) -> None:
    sent = {"message": "Rain?", "model": "caller", "tools": [TOOL]} | DRAWN
    with client.stream("POST", f"{CHAT}/stream", json=sent) as answer:
        *_, call, done = events(answer)
    assert (call.name, done.name) == ("tool_call", "done")
    assert call.data["id"]
    assert call.data | {"id": ""} == {
        "index": 0,
        "id": "",
        "name": "weather",
        "arguments": ARGUMENTS,
    }
    assert done.data["finish_reason"] == "tool_calls"


def test_a_call_waits_for_its_result(client: httpx.Client) -> None:
    head = called(client).head
    question, calls = messages(client, head)
    assert (question["role"], question["listed"]) == ("user", True)
    assert (calls["role"], calls["listed"], calls["content"]) == ("assistant", False, "Wait.")
    assert calls["finish_reason"] == "tool_calls"
    (call,) = calls["tool_calls"]
    assert (call["name"], call["arguments"]) == ("weather", ARGUMENTS)
    answer = found(
        client.post(
            f"{place(head)}/messages/{calls['id']}/tool_results",
            json={"results": [{"call_id": call["id"], "content": "Showers."}], "model": "talker"}
            | DRAWN,
        )
    )
    assert answer["message"]["content"] == '{"a": 1}'
    assert answer["parent_id"] == question["id"]
    for branch in ("active", "all"):
        shown = messages(client, head, branch=branch)
        assert [one["role"] for one in shown] == ["user", "assistant", "tool", "assistant"]
        assert [one["previous_id"] for one in shown] == [None, *[one["id"] for one in shown[:-1]]]
        (result,) = shown[2]["tool_results"]
        assert result == {"call_id": call["id"], "content": "Showers.", "is_error": False}
    v5 = found(client.get(place(head).replace("v6", "v5")))
    assert [one["content"] for one in v5["messages"]] == ["Rain?", '{"a": 1}']


def test_half_a_call_is_none(client: httpx.Client) -> None:
    body = {"message": "Rain?", "model": "caller", "tools": [TOOL], "temperature": 0}
    answer = found(client.post(CHAT, json=body | {"max_tokens": 25}))
    assert (answer["finish_reason"], answer["message"]["tool_calls"]) == ("length", [])
    assert messages(client, answer)[-1]["listed"]


def test_a_call_is_shown_again_to_whoever_joins(client: httpx.Client) -> None:
    head = called(client).head
    with client.stream("GET", path_of(head)) as answer:
        *_, call, done = events(answer)
    assert (call.name, call.data["arguments"]) == ("tool_call", ARGUMENTS)
    assert done.data["finish_reason"] == "tool_calls"


def test_the_results_of_a_stream_may_be_streamed(client: httpx.Client) -> None:
    head = called(client).head
    (call,) = messages(client, head)[1]["tool_calls"]
    body = {"results": [{"call_id": call["id"], "content": "Hail."}], "model": "talker"} | DRAWN
    path = f"{place(head)}/messages/{head['message_id']}/tool_results/stream"
    copy = Copy()
    with client.stream("POST", path, json=body) as answer:
        copy.read(answer)
    assert copy.text == '{"a": 1}'


def test_each_call_needs_its_result(client: httpx.Client) -> None:
    head = called(client).head
    path = f"{place(head)}/messages/{head['message_id']}/tool_results"
    (call,) = messages(client, head)[1]["tool_calls"]
    one = {"call_id": call["id"], "content": "x"}
    for results in ([one | {"call_id": "other"}], [one, one]):
        refused(client.post(path, json={"results": results}), 422, "invalid-request", "/results")
    assert len(messages(client, head)) == 2


def test_an_answer_without_calls_takes_no_results(client: httpx.Client) -> None:
    head = asked(client, "hi", model="talker", **DRAWN).head
    path = f"{place(head)}/messages/{head['message_id']}/tool_results"
    body = {"results": [{"call_id": "c", "content": "x"}]}
    refused(client.post(path, json=body), 422, "invalid-request", "/path/message_id")


def test_the_next_question_leaves_a_call_without_a_result_aside(client: httpx.Client) -> None:
    head = called(client).head
    where = {"conversation_id": head["conversation_id"]}
    asked(client, "Snow?", model="talker", **DRAWN, **where)
    shown = [(one["role"], one["content"]) for one in messages(client, head)]
    assert shown == [("user", "Snow?"), ("assistant", '{"a": 1}')]
    assert len(messages(client, head, branch="all")) == 4


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/tools", {"tools": [TOOL, TOOL]}),
        ("/tools/0/parameters", {"tools": [TOOL | {"parameters": {"type": "string"}}]}),
        ("/tool_choice", {"tool_choice": {"mode": "required"}}),
        (
            "/tool_choice/name",
            {"tools": [TOOL], "tool_choice": {"mode": "auto", "name": "weather"}},
        ),
        ("/tool_choice/name", {"tools": [TOOL], "tool_choice": {"mode": "required", "name": "x"}}),
        ("/constraint", {"constraint": {}}),
        ("/constraint", {"constraint": {"regex": "a", "lark": "start: A"}}),
        ("/thinking", {"thinking": "some"}),
    ],
)
def test_what_cannot_be_meant_is_refused(
    client: httpx.Client, pointer: str, wrong: dict[str, Any]
) -> None:
    refused(client.post(CHAT, json={"message": "hi"} | wrong), 422, "invalid-request", pointer)


# ---------------------------------------------------------------- structured output


def test_an_answer_matches_its_schema(client: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    constraint = {"json_schema": schema | {"additionalProperties": False}}
    body = {"message": "hi", "model": "talker", "constraint": constraint} | DRAWN
    answer = found(client.post(CHAT, json=body))
    assert json.loads(answer["message"]["content"]) == {"a": 1}


def test_a_schema_that_cannot_be_enforced_is_refused(client: httpx.Client) -> None:
    constraint = {"json_schema": {"$ref": "#/nowhere"}}
    body = {"message": "hi", "model": "talker", "constraint": constraint}
    refused(client.post(CHAT, json=body), 400, "unsupported-constraint")


# ---------------------------------------------------------------- what other dialects stored


def test_everything_that_is_stored_is_shown(me: httpx.Client, url: str) -> None:
    head = asked(me, "Hello there").head
    name = head["conversation_id"]
    with closing(Database(url)) as database:
        database.transact(
            lambda it: append(it, owner_of(it, name), name, head["message_id"], [*TURN, DEVELOPER]),
            writes=True,
        )
    shown = messages(me, head)
    roles = ["user", "assistant", "user", "assistant", "tool", "assistant", "developer"]
    assert [one["role"] for one in shown] == roles
    assert shown[3]["thinking"] == "I need the forecast."
    assert [call["name"] for call in shown[3]["tool_calls"]] == ["weather", "webcam"]
    assert [one["is_error"] for one in shown[4]["tool_results"]] == [False, True]
    assert len(shown[4]["images"]) == 1
    assert [one["listed"] for one in shown] == [True, True, True, False, False, True, False]
    pages: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = found(me.get(place(head), params=query))
        pages = [*page["messages"], *pages]
        if not page["next_cursor"]:
            break
        query["cursor"] = page["next_cursor"]
    assert pages == shown
    audit.require_indexed(url)
