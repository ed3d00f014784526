"""Conversations as files: exported, imported, and what may not come in."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import httpx
import pytest

from app.v4.models.transfer import IMPORT_EXAMPLES
from tests.http.chatting import chat
from tests.http.stored import MOMENT, URL, forest, found, listed, opened, refused, texts
from tests.http.test_templates import HOSTILE
from tests.store import audit

File = dict[str, Any]

TURNS: list[dict[str, Any]] = [
    {"id": "q", "role": "user", "content": "What?", "created_at": MOMENT},
    {
        "id": "a",
        "parent_id": "q",
        "role": "assistant",
        "content": "That.",
        "created_at": MOMENT,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 0},
        "context": {"prompt_tokens": 1, "limit": 9, "dropped": [], "summarised": ["q"]},
    },
    {"id": "r", "parent_id": "a", "role": "user", "content": "And?", "created_at": MOMENT},
]
TEMPLATE = {"name": "mine", "description": "Mine.", "system": "Be brief."}
FILE: File = {
    "format": "sllm-conversation",
    "version": 1,
    "exported_at": MOMENT,
    "conversation": {
        "title": "What?",
        "created_at": MOMENT,
        "updated_at": "2026-08-01T12:00:00.999Z",
        "active_leaf_id": "r",
        "setup": {"template": TEMPLATE},
        "messages": TURNS,
    },
}


def exported(client: httpx.Client, conversation: str) -> File:
    return found(client.get(f"{URL}/{conversation}/export"))


def imported(client: httpx.Client, file: File) -> str:
    answer = client.post(f"{URL}/import", json=file)
    conversation = found(answer, 201)
    assert answer.headers["location"] == f"{URL}/{conversation['id']}"
    assert "messages" not in conversation
    return str(conversation["id"])


def without_ids(file: File) -> File:
    """The same with places in the list for ids, and no time of export."""
    stripped = deepcopy(file)
    stripped.pop("exported_at")
    conversation = stripped["conversation"]
    places = {one["id"]: at for at, one in enumerate(conversation["messages"])} | {None: None}
    conversation["active_leaf_id"] = places[conversation["active_leaf_id"]]
    for one in conversation["messages"]:
        one["id"], one["parent_id"] = places[one["id"]], places[one["parent_id"]]
        for name in ("dropped", "summarised") if one["context"] else ():
            one["context"][name] = [places[id_] for id_ in one["context"][name]]
    return stripped


def rich(client: httpx.Client) -> str:
    """A conversation with everything that there can be."""
    history = [{"role": "user", "content": f"지난 말 {number}"} for number in range(100)]
    one = chat(
        client,
        "안녕 <b>여러분</b>\n# 제목",
        history=history,
        template="creative_writer",
        variables={"words": 50},
    )
    conversation = one["conversation_id"]
    assert chat(client, "더", conversation_id=conversation)["context"]["dropped"]
    chat(client, "again", conversation_id=conversation, parent_id=one["message_id"], max_tokens=1)
    chat(client, "first", conversation_id=conversation, parent_id=None, system="Be kind.")
    client.patch(f"{URL}/{conversation}", json={"active_leaf_id": one["message_id"]})
    return str(conversation)


def test_export_and_import_keep_everything_but_ids(me: httpx.Client, url: str) -> None:
    original = rich(me)
    first = exported(me, original)
    copy = imported(me, first)
    second = exported(me, copy)
    assert without_ids(second) == without_ids(first)
    assert without_ids(exported(me, imported(me, second))) == without_ids(first)
    made = [one["id"] for file in (first, second) for one in file["conversation"]["messages"]]
    assert len(set(made)) == len(made)
    assert first["conversation"]["setup"]["template"]["name"] == "creative_writer"
    assert "(About 50 words.)" in first["conversation"]["messages"][100]["prompt"]
    audit.require_indexed(url)


def test_an_export_has_the_documented_form(me: httpx.Client) -> None:
    tree = forest(me)
    file = exported(me, tree["A"]["conversation_id"])
    assert (file["format"], file["version"]) == ("sllm-conversation", 1)
    conversation = file["conversation"]
    assert conversation["active_leaf_id"] == tree["E"]["message_id"]
    assert "".join(one["content"] for one in conversation["messages"]) == "AABBCCDDEE"
    assert conversation["setup"] == {
        "model": None,
        "template": None,
        "variables": {},
        "system": None,
    }
    shown = opened(me, tree["A"]["conversation_id"], branch="all")
    assert [conversation[name] for name in ("title", "created_at", "updated_at")] == [
        shown[name] for name in ("title", "created_at", "updated_at")
    ]
    kept = [{**one, "prompt": None} for one in shown["messages"]]
    assert conversation["messages"] == kept


def test_an_imported_conversation_is_like_any_other(me: httpx.Client) -> None:
    made = imported(me, FILE)
    whole = opened(me, made)
    assert (whole["created_at"], whole["updated_at"]) == (MOMENT, "2026-08-01T12:00:00.999Z")
    assert (whole["template"], whole["title"], texts(whole)) == ("mine", "What?", "What?That.And?")
    assert whole["messages"][-1]["id"] == whole["active_leaf_id"]
    assert whole["messages"][1]["context"]["summarised"] == [whole["messages"][0]["id"]]
    assert listed(me, query="that") == listed(me, query="what") == [made]
    follows = whole["messages"][1]["id"]
    answer = chat(me, "More?", conversation_id=made, parent_id=follows)
    assert answer["template"] == "mine"
    assert texts(opened(me, made)) == "What?That.More?More?"


def test_what_was_being_made_is_kept_as_stopped(me: httpx.Client) -> None:
    file = deepcopy(FILE)
    file["conversation"]["messages"][1]["status"] = "generating"
    more = {**file["conversation"]["messages"][1], "id": "b"}
    file["conversation"]["messages"].append(more)
    made = imported(me, file)
    statuses = [one["status"] for one in opened(me, made, branch="all")["messages"]]
    assert statuses == ["complete", "stopped", "complete", "stopped"]
    assert chat(me, conversation_id=made)


@pytest.mark.parametrize("name", IMPORT_EXAMPLES)
def test_the_documented_examples_work(me: httpx.Client, name: str) -> None:
    made = imported(me, IMPORT_EXAMPLES[name]["value"])
    assert chat(me, conversation_id=made)["parent_id"]


def test_a_conversation_may_be_empty(me: httpx.Client) -> None:
    file = deepcopy(FILE)
    file["conversation"] |= {"messages": [], "active_leaf_id": None}
    made = imported(me, file)
    assert opened(me, made)["messages"] == []
    assert exported(me, made)["conversation"]["messages"] == []
    assert me.get(f"{URL}/{made}/export?format=markdown").text == "# What?\n"
    assert chat(me, "Now", conversation_id=made)
    assert listed(me, query="what now") == [made]


Change = Callable[[File, list[dict[str, Any]]], object]

MISTAKES: list[tuple[Change, str]] = [
    (
        lambda conversation, turns: (
            turns[2].update(id="q"),
            conversation.update(active_leaf_id="q"),
        ),
        "/conversation/messages/2/id",
    ),
    (lambda _, turns: turns[2].update(parent_id="x"), "/conversation/messages/2/parent_id"),
    (lambda _, turns: turns[0].update(parent_id="q"), "/conversation/messages/0/parent_id"),
    (lambda _, turns: turns[0].update(parent_id="r"), "/conversation/messages/0/parent_id"),
    (lambda _, turns: turns[0].update(role="system"), "/conversation/messages/0/role"),
    (lambda _, turns: turns[0].update(content=""), "/conversation/messages/0/content"),
    (lambda _, turns: turns[0].update(content="a\0b"), "/conversation/messages/0/content"),
    (lambda _, turns: turns[0].update(status="stopped"), "/conversation/messages/0/status"),
    (lambda _, turns: turns[0].update(model="echo"), "/conversation/messages/0/model"),
    (lambda _, turns: turns[0].update(error="x"), "/conversation/messages/0/error"),
    (lambda _, turns: turns[1].update(prompt="x"), "/conversation/messages/1/prompt"),
    (lambda _, turns: turns[1].update(status="done"), "/conversation/messages/1/status"),
    (lambda _, turns: turns[1].update(color="red"), "/conversation/messages/1/color"),
    (
        lambda _, turns: turns[1]["context"].update(dropped=["q", "x"]),
        "/conversation/messages/1/context/dropped/1",
    ),
    (
        lambda _, turns: turns[1]["usage"].update(cached_tokens=-1),
        "/conversation/messages/1/usage/cached_tokens",
    ),
    (
        lambda _, turns: turns[0].update(created_at="2026-13-01T00:00:00.000Z"),
        "/conversation/messages/0/created_at",
    ),
    (
        lambda _, turns: turns[0].update(created_at="1969-12-31T23:59:59.999Z"),
        "/conversation/messages/0/created_at",
    ),
    (lambda _, turns: turns[0].update(created_at=0), "/conversation/messages/0/created_at"),
    (
        lambda conversation, _: conversation.update(active_leaf_id="x"),
        "/conversation/active_leaf_id",
    ),
    (
        lambda conversation, _: conversation.update(active_leaf_id=None),
        "/conversation/active_leaf_id",
    ),
    (lambda conversation, _: conversation.update(messages=[]), "/conversation/active_leaf_id"),
    (lambda conversation, _: conversation.update(title=" "), "/conversation/title"),
    (
        lambda conversation, _: conversation["setup"]["template"].update(system="{{ unknown }}"),
        "/conversation/setup/template/system",
    ),
    (
        lambda conversation, _: conversation["setup"].update(variables={"a": []}),
        "/conversation/setup/variables/a",
    ),
]


@pytest.mark.parametrize(("change", "pointer"), MISTAKES)
def test_a_mistake_is_named_and_nothing_is_stored(
    me: httpx.Client, change: Change, pointer: str
) -> None:
    file = deepcopy(FILE)
    change(file["conversation"], file["conversation"]["messages"])
    refused(me.post(f"{URL}/import", json=file), 422, "invalid-request", pointer)
    assert listed(me) == []


@pytest.mark.parametrize("change", [{"format": "other"}, {"version": 2}, {"version": "1"}])
def test_only_this_form_is_taken(me: httpx.Client, change: File) -> None:
    (name,) = change
    refused(me.post(f"{URL}/import", json=FILE | change), 422, "invalid-request", f"/{name}")


def test_all_mistakes_are_told_at_once(me: httpx.Client) -> None:
    file = deepcopy(FILE)
    file["conversation"]["active_leaf_id"] = "x"
    file["conversation"]["messages"][2] |= {"parent_id": "y", "id": "q"}
    problem = found(me.post(f"{URL}/import", json=file), 422)
    assert [error["pointer"].rpartition("/")[-1] for error in problem["errors"]] == [
        "id",
        "parent_id",
        "active_leaf_id",
    ]
    file["conversation"]["messages"] *= 100
    assert len(found(me.post(f"{URL}/import", json=file), 422)["errors"]) == 20


def test_a_hostile_template_does_not_come_in(me: httpx.Client) -> None:
    file = deepcopy(FILE)
    template = file["conversation"]["setup"]["template"]
    template["variables"] = {"text": {"type": "string", "default": "x"}}
    for system in HOSTILE.values():
        template["system"] = system
        answer = me.post(f"{URL}/import", json=file)
        if answer.is_success:  # its size and time are limited where it is rendered
            asked = {"message": "hi", "conversation_id": answer.json()["id"]}
            answer = me.post("/api/v4/chat", json=asked)
        assert answer.status_code == 422, (system, answer.text)


def test_a_file_is_as_large_as_a_body_may_be(me: httpx.Client) -> None:
    file = deepcopy(FILE)
    file["conversation"]["messages"][1]["content"] = "x" * 2**20
    answer = me.post(f"{URL}/import", json=file)
    refused(answer, 413, "request-too-large")
    assert "MAX_REQUEST_BYTES" in answer.json()["detail"]
    assert listed(me) == []


def test_the_address_of_imports_takes_nothing_else(me: httpx.Client) -> None:
    answer = me.put(f"{URL}/import", json=FILE)
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    for method in ("GET", "DELETE"):
        refused(me.request(method, f"{URL}/import"), 404, "conversation-not-found")
