"""Responses and the versions under /api show the same conversations."""

from __future__ import annotations

import httpx

from tests.http.chatting import chat
from tests.http.openai_wire import error_of
from tests.http.responses_wire import (
    CALL,
    CONVERSATIONS,
    RESPONSES,
    TOOL,
    respond,
    retrieved,
    row_ids,
    text_of,
)
from tests.http.stored import listed, opened, texts


def shown(client: httpx.Client, name: str) -> list[tuple[str, str]]:
    page = client.get(f"/api/v5/conversations/{name}").json()
    return [(message["role"], message["content"]) for message in page["messages"]]


def test_v5_shows_the_conversation_of_a_response(me: httpx.Client) -> None:
    first = respond(me, "apples and pears")
    second = respond(me, "more", previous_response_id=first["id"])
    name, answer = row_ids(second["id"])
    assert listed(me) == listed(me, query="pears") == [name]
    assert shown(me, name) == [
        ("user", "apples and pears"),
        ("assistant", "apples and pears"),
        ("user", "more"),
        ("assistant", "more"),
    ]
    page = opened(me, name)
    assert (page["title"], page["active_leaf_id"]) == ("apples and pears", answer)


def test_v5_goes_on_with_it_and_is_gone_on_with(me: httpx.Client) -> None:
    first = respond(me, "a")
    name, _ = row_ids(first["id"])
    asked = chat(me, "b", conversation_id=name)
    digits = (asked["conversation_id"] + asked["message_id"]).replace("-", "")
    assert text_of(retrieved(me, f"resp_{digits}")) == "b"
    third = respond(me, "c", previous_response_id=f"resp_{digits}")
    assert third["usage"]["input_tokens"] == 5
    assert texts(opened(me, name)) == "aabbcc"


def test_a_previous_response_is_a_branch(me: httpx.Client) -> None:
    first = respond(me, "a")
    left = respond(me, "b", previous_response_id=first["id"])
    right = respond(me, "c", previous_response_id=first["id"])
    name, _ = row_ids(first["id"])
    assert row_ids(left["id"])[0] == row_ids(right["id"])[0] == name
    assert texts(opened(me, name)) == "aacc"
    assert texts(opened(me, name, branch="all")) == "aabbcc"
    assert right["usage"]["input_tokens"] == 3


def test_a_conversation_is_gone_on_with_at_its_end(me: httpx.Client) -> None:
    first = chat(me, "a")
    name = f"conv_{first['conversation_id'].replace('-', '')}"
    made = respond(me, "b", conversation=name)
    assert made["conversation"] == {"id": name}
    assert made["usage"]["input_tokens"] == 3
    again = respond(me, "c", conversation={"id": name})
    assert again["usage"]["input_tokens"] == 5
    assert texts(opened(me, first["conversation_id"])) == "aabbcc"
    me.delete(f"{RESPONSES}/{made['id']}")
    assert texts(opened(me, first["conversation_id"])) == "aabbcc"


def test_calls_and_results_are_not_shown_where_there_is_no_place_for_them(
    me: httpx.Client,
) -> None:
    first = respond(me, CALL, tools=[TOOL])
    (call,) = first["output"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    last = respond(me, [result], previous_response_id=first["id"])
    name, answer = row_ids(last["id"])
    assert [role for role, _ in shown(me, name)] == ["user", "assistant"]
    assert opened(me, name)["active_leaf_id"] == answer
    page = me.get(f"/api/v6/conversations/{name}").json()
    assert [message["role"] for message in page["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


def test_an_ordinary_one_can_be_exported_by_every_version(me: httpx.Client) -> None:
    name, _ = row_ids(respond(me, "a", instructions="x")["id"])
    for version in ("v4", "v5", "v6"):
        answer = me.get(f"/api/{version}/conversations/{name}/export", params={"format": "json"})
        assert answer.status_code == 200, answer.text
        messages = answer.json()["conversation"]["messages"]
        assert [message["content"] for message in messages] == ["a", "a"]
    made = me.post("/api/v6/conversations/import", json=answer.json())
    assert made.status_code == 201, made.text


def test_deleting_on_one_side_deletes_on_the_other(me: httpx.Client) -> None:
    made = respond(me)
    name, _ = row_ids(made["id"])
    assert me.delete(f"/api/v5/conversations/{name}").status_code == 204
    assert error_of(me.get(f"{RESPONSES}/{made['id']}"))[0] == 404
    assert error_of(me.get(f"{CONVERSATIONS}/conv_{name.replace('-', '')}"))[0] == 404
