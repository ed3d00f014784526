"""Changing and deleting stored conversations, also while an answer is made."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.http.chatting import CHAT, chat
from tests.http.events import parsed
from tests.http.stored import (
    GONE,
    URL,
    being_answered,
    forest,
    found,
    listed,
    opened,
    refused,
    texts,
)
from tests.store import audit


def test_a_new_title_stays_and_is_what_a_search_finds(me: httpx.Client, url: str) -> None:
    one = chat(me, "about old things")
    chat(me, "another beginning", conversation_id=one["conversation_id"], parent_id=None)
    before = opened(me, one["conversation_id"], limit=1)
    changed = found(me.patch(f"{URL}/{before['id']}", json={"title": "새로운 zebra"}))
    assert changed["title"] == "새로운 zebra"
    assert "messages" not in changed
    after = opened(me, before["id"], limit=1)
    assert after == before | {"title": "새로운 zebra"} | {"next_cursor": after["next_cursor"]}
    for word in ("새로", "zebra", "old", "beginning"):
        assert listed(me, query=word) == [before["id"]]
    found(me.patch(f"{URL}/{before['id']}", json={"title": "third"}))
    assert listed(me, query="zebra") == []
    assert listed(me, query="third") == [before["id"]]
    audit.require_indexed(url)


def test_going_back_ends_the_branch_there_and_the_next_question_follows(me: httpx.Client) -> None:
    tree = forest(me)
    conversation, back = tree["A"]["conversation_id"], tree["A"]["message_id"]
    changed = found(me.patch(f"{URL}/{conversation}", json={"active_leaf_id": back}))
    assert changed["active_leaf_id"] == back
    assert texts(opened(me, conversation)) == "AA"
    assert texts(opened(me, conversation, branch="all")) == "AABBCCDDEE"
    chat(me, "F", conversation_id=conversation)
    assert texts(opened(me, conversation)) == "AAFF"
    both = {"title": "both", "active_leaf_id": tree["C"]["message_id"]}
    assert found(me.patch(f"{URL}/{conversation}", json=both)).items() >= both.items()
    assert texts(opened(me, conversation)) == "AACC"


def test_a_leaf_is_a_message_of_the_conversation(me: httpx.Client) -> None:
    one, other = chat(me), chat(me)
    for leaf in (other["message_id"], GONE, "x", "가"):
        change = {"title": "not this either", "active_leaf_id": leaf}
        answer = me.patch(f"{URL}/{one['conversation_id']}", json=change)
        refused(answer, 404, "message-not-found")
    whole = opened(me, one["conversation_id"])
    assert (whole["title"], whole["active_leaf_id"]) == ("hi", one["message_id"])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({}, ""),
        ({"title": None}, "/title"),
        ({"title": ""}, "/title"),
        ({"title": " \n "}, "/title"),
        ({"title": "x" * 201}, "/title"),
        ({"title": "a\0b"}, "/title"),
        ({"title": 7}, "/title"),
        ({"active_leaf_id": None}, "/active_leaf_id"),
        ({"active_leaf_id": "a\0"}, "/active_leaf_id"),
        ({"title": "x", "model": "echo"}, "/model"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    me: httpx.Client, change: dict[str, Any], pointer: str
) -> None:
    conversation = chat(me)["conversation_id"]
    refused(me.patch(f"{URL}/{conversation}", json=change), 422, "invalid-request", pointer)
    assert found(me.patch(f"{URL}/{conversation}", json={"title": "가" * 200}))


def test_while_an_answer_is_made_the_branch_stays_but_the_title_may_change(
    me: httpx.Client,
) -> None:
    one = chat(me)
    address = f"{URL}/{one['conversation_id']}"
    with being_answered(me, conversation_id=one["conversation_id"]):
        back = {"active_leaf_id": one["message_id"], "title": "neither"}
        refused(me.patch(address, json=back), 409, "conversation-busy")
        assert opened(me, one["conversation_id"])["messages"][-1]["status"] == "generating"
        found(me.patch(address, json={"title": "changed"}))
        me.post(f"{address}/stop")
    whole = opened(me, one["conversation_id"])
    assert (whole["title"], whole["messages"][-1]["status"]) == ("changed", "stopped")
    found(me.patch(address, json={"active_leaf_id": one["message_id"]}))


def test_what_is_deleted_is_gone_for_good(me: httpx.Client, url: str) -> None:
    kept = chat(me, "kept")["conversation_id"]
    deleted = forest(me)["A"]["conversation_id"]
    answer = me.delete(f"{URL}/{deleted}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert listed(me) == [kept]
    for method, address in [("DELETE", ""), ("GET", ""), ("GET", "/export")]:
        gone = me.request(method, f"{URL}/{deleted}{address}")
        refused(gone, 404, "conversation-not-found")
    asked = me.post(CHAT, json={"message": "hi", "conversation_id": deleted})
    refused(asked, 404, "conversation-not-found")
    assert audit.messages(url, deleted) == []
    audit.require_indexed(url)


def test_cuts_are_deleted_too(me: httpx.Client, url: str) -> None:
    one = chat(me, history=[{"role": "user", "content": "x"}] * 100)
    chat(me, conversation_id=one["conversation_id"])  # is more than MAX_HISTORY_LENGTH
    mine = one["conversation_id"]
    assert mine in {cut.conversation_id for cut in audit.cuts(url)}
    assert me.delete(f"{URL}/{mine}").status_code == 204
    audit.finish_work(url)
    assert mine not in {cut.conversation_id for cut in audit.cuts(url)}


def test_deleting_ends_the_answer_that_is_being_made(me: httpx.Client, url: str) -> None:
    one = chat(me)
    with being_answered(me, conversation_id=one["conversation_id"]) as rest:
        assert me.delete(f"{URL}/{one['conversation_id']}").status_code == 204
        text = "".join(rest)
    last = parsed(text[text.index("event: ") :])[-1]
    assert (last.name, last.data["code"]) == ("error", "conversation-not-found")
    assert listed(me) == []
    audit.finish_work(url)
    assert audit.messages(url, one["conversation_id"]) == []
    audit.require_indexed(url)
