"""Stored conversations over HTTP: listed, and opened page by page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Engine, event

from tests.http.chatting import chat
from tests.http.stored import (
    MOMENT,
    PAGE_SIZE,
    URL,
    brought,
    forest,
    found,
    ids,
    imported,
    listed,
    opened,
    refused,
    texts,
)


def test_the_list_has_the_last_used_first(me: httpx.Client) -> None:
    first, second, third = (chat(me, word)["conversation_id"] for word in ("a", "b", "c"))
    assert listed(me) == [third, second, first]
    chat(me, conversation_id=first)
    assert listed(me) == [first, third, second]


def test_an_item_says_what_the_conversation_keeps_to(me: httpx.Client) -> None:
    answer = chat(me, "안녕 여러분\nsecond line", template="default", model="echo")
    (item,) = found(me.get(URL))["conversations"]
    times = {item.pop("created_at"), item.pop("updated_at")}
    assert item == {
        "id": answer["conversation_id"],
        "title": "안녕 여러분",
        "active_leaf_id": answer["message_id"],
        "model": "echo",
        "template": "default",
        "match": None,
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    chat(me)
    newest = found(me.get(URL))["conversations"][0]
    assert (newest["model"], newest["template"]) == (None, None)


def test_a_burst_pages_without_loss_or_repetition_while_others_are_used(me: httpx.Client) -> None:
    others = [chat(me, "other")["conversation_id"] for _ in range(3)]
    burst = [brought(me, f"number {number}") for number in range(45)]
    page = found(me.get(URL, params={"limit": 10}))
    seen = ids(page)
    while page["next_cursor"]:
        chat(me, "once more", conversation_id=others[len(seen) % 3])
        chat(me, "a new one")
        page = found(me.get(URL, params={"limit": 10, "cursor": page["next_cursor"]}))
        seen += ids(page)
    assert seen[:3] == others[::-1]
    assert sorted(seen[3:]) == sorted(burst)


def test_the_limit_is_page_size_and_at_most_a_thousand(me: httpx.Client) -> None:
    for number in range(PAGE_SIZE + 1):
        brought(me, f"number {number}")
    page = found(me.get(URL))
    assert len(page["conversations"]) == PAGE_SIZE
    rest = found(me.get(URL, params={"cursor": page["next_cursor"]}))
    assert (len(rest["conversations"]), rest["next_cursor"]) == (1, None)
    whole = found(me.get(URL, params={"limit": PAGE_SIZE + 1}))
    assert (len(whole["conversations"]), whole["next_cursor"]) == (PAGE_SIZE + 1, None)
    assert me.get(URL, params={"limit": 1000}).is_success
    for limit in ("0", "1001", "-1", "x", ""):
        refused(me.get(URL, params={"limit": limit}), 422, "invalid-request", "/limit")


def test_what_is_not_known_after_the_question_mark_is_refused(me: httpx.Client) -> None:
    refused(me.get(URL, params={"qurey": "x"}), 422, "invalid-request", "/qurey")


def test_a_tree_shows_its_active_branch_or_all_of_it(me: httpx.Client) -> None:
    tree = forest(me)
    conversation = tree["A"]["conversation_id"]
    active = opened(me, conversation)
    assert texts(active) == "DDEE"
    assert active["active_leaf_id"] == tree["E"]["message_id"] == active["messages"][-1]["id"]
    whole = opened(me, conversation, branch="all")
    assert texts(whole) == "AABBCCDDEE"
    parents = {one["id"]: one["parent_id"] for one in whole["messages"]}
    for answer in tree.values():
        assert parents[answer["message_id"]] == answer["parent_id"]
    assert parents[tree["C"]["parent_id"]] == parents[tree["B"]["parent_id"]]
    assert parents[tree["A"]["parent_id"]] is parents[tree["D"]["parent_id"]] is None


def test_a_message_says_everything_of_itself(me: httpx.Client) -> None:
    answer = chat(me, "하나 둘", system="Be brief.", max_tokens=1)
    whole = opened(me, answer["conversation_id"])
    assert (whole["system"], whole["variables"], whole["template"]) == ("Be brief.", {}, None)
    question, reply = whole["messages"]
    assert question | {"created_at": "", "id": ""} == {
        "id": "",
        "parent_id": None,
        "role": "user",
        "status": "complete",
        "content": "하나 둘",
        "model": None,
        "finish_reason": None,
        "usage": None,
        "context": None,
        "error": None,
        "created_at": "",
        "finished_at": None,
    }
    assert reply["content"] == answer["message"]["content"]
    for name in ("parent_id", "model", "finish_reason", "usage", "context"):
        assert reply[name] == answer[name]
    assert (reply["status"], reply["finish_reason"]) == ("complete", "length")
    assert reply["finished_at"] >= reply["created_at"] >= question["created_at"]


@pytest.mark.parametrize("branch", ["active", "all"])
@pytest.mark.parametrize("limit", [1, 3, 4, 1000])
def test_pages_lead_to_older_messages(me: httpx.Client, branch: str, limit: int) -> None:
    tree = forest(me)
    conversation = tree["A"]["conversation_id"]
    chat(me, "F", conversation_id=conversation)
    query = {"branch": branch, "limit": limit}
    whole = texts(opened(me, conversation, branch=branch))
    page = opened(me, conversation, **query)
    read = texts(page)
    while page["next_cursor"]:
        # Going on makes newer messages: the older pages stay as they were.
        chat(me, "X", conversation_id=conversation)
        page = opened(me, conversation, **query, cursor=page["next_cursor"])
        assert page["messages"]
        read = texts(page) + read
    assert read == whole == {"active": "DDEEFF", "all": "AABBCCDDEEFF"}[branch]


def test_messages_come_five_hundred_at_a_time_unless_asked_otherwise(me: httpx.Client) -> None:
    turns = [
        {"id": str(number), "role": "user", "content": "x", "created_at": MOMENT}
        for number in range(501)
    ]
    made = imported(me, "many", turns)
    assert len(opened(me, made, branch="all")["messages"]) == 500
    assert len(opened(me, made, branch="all", limit=1000)["messages"]) == 501
    for limit in (0, 1001):
        answer = me.get(f"{URL}/{made}", params={"limit": limit})
        refused(answer, 422, "invalid-request", "/limit")


CARETAKER = "messages.lease_until <"
"""Of what looks for abandoned answers all the time."""


@contextmanager
def statements() -> Iterator[list[str]]:
    """What requests ask of any database of this process; the work in the background writes."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asks = statement.split(maxsplit=1)[0] in {"SELECT", "WITH"}
        background = any(name in statement for name in (CARETAKER, "index_backlog", "removals"))
        if asks and not background and not threading.current_thread().name.startswith("writes"):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_looking_takes_few_statements_and_reads_no_text_that_is_not_shown(me: httpx.Client) -> None:
    conversation = forest(me)["A"]["conversation_id"]
    for number in range(5):
        brought(me, f"number {number}")
    with statements() as seen:
        assert len(ids(found(me.get(URL)))) == 6
    assert len(seen) == 1
    assert "content" not in seen[0]
    for branch in ("active", "all"):
        with statements() as seen:
            opened(me, conversation, branch=branch, limit=2)
        assert len(seen) == 2
        assert "prompt" not in "".join(seen)
    with statements() as seen:
        assert len(listed(me, query="number")) == 5
    assert len(seen) == 2
