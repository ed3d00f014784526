"""Answering again, stopping, counting and titling, on each kind of database."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.http.chatting import LONG, STREAM, chat, refused, shown_tokens
from tests.http.events import parsed
from tests.store import audit

GONE = "00000000-0000-0000-0000-000000000000"


def again(client: httpx.Client, answer: dict[str, Any], at: str, **options: Any) -> dict[str, Any]:
    """Regenerate, naming the answer or its question."""
    response = (
        client.post(route(answer, at), json=options) if options else client.post(route(answer, at))
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def route(answer: dict[str, Any], at: str) -> str:
    return f"/api/v4/conversations/{answer['conversation_id']}/messages/{answer[at]}/regenerate"


@pytest.mark.parametrize("at", ["message_id", "parent_id"])
def test_another_answer_stands_beside_the_first(me: httpx.Client, url: str, at: str) -> None:
    first = chat(me, "one two")
    second = again(me, first, at)
    assert second["parent_id"] == first["parent_id"]
    assert second["message_id"] != first["message_id"]
    assert second["message"] == first["message"]
    name = first["conversation_id"]
    assert [row.id for row in audit.branch(url, name)][1:] == [second["message_id"]]
    assert len(audit.messages(url, name)) == 3


def test_it_reads_what_came_before_the_question_only(me: httpx.Client) -> None:
    first = chat(me, "one two")
    second = chat(me, "three", conversation_id=first["conversation_id"])
    assert shown_tokens(again(me, second, "message_id")) == shown_tokens(second) == 5
    assert shown_tokens(again(me, first, "message_id")) == 2


def test_what_the_body_sets_holds_for_this_answer(me: httpx.Client) -> None:
    first = chat(me, "one two three", system="be brief")
    second = again(me, first, "message_id", max_tokens=2)
    assert (second["message"]["content"].strip(), second["finish_reason"]) == ("one two", "length")
    assert shown_tokens(second) == shown_tokens(first) == 5


def test_it_keeps_what_the_template_made_of_the_question(me: httpx.Client) -> None:
    template = {
        "name": "polite",
        "description": "Says please.",
        "system": "Be kind.",
        "user": "Please: {{ message }}",
    }
    assert me.post("/api/v4/prompt/templates", json=template).status_code == 201
    first = chat(me, "one two", template="polite")
    assert first["message"]["content"] == "Please: one two"
    second = again(me, first, "message_id")
    assert (second["message"], second["template"]) == (first["message"], "polite")
    assert shown_tokens(second) == shown_tokens(first) == 5


def test_the_stream_says_the_same(me: httpx.Client) -> None:
    first = chat(me, "one two")
    events = parsed(me.post(route(first, "message_id") + "/stream").text)
    assert events[0].data["parent_id"] == first["parent_id"]
    assert "".join(event.data["text"] for event in events if event.name == "delta") == "one two"
    assert events[-1].name == "done"


def test_what_is_not_there_cannot_be_answered_again(me: httpx.Client) -> None:
    first = chat(me)
    wrong = first | {"message_id": GONE}
    assert me.post(route(wrong, "message_id")).json()["code"] == "message-not-found"
    nowhere = first | {"conversation_id": GONE}
    assert me.post(route(nowhere, "message_id")).json()["code"] == "conversation-not-found"


def test_a_body_that_is_sent_must_be_json(me: httpx.Client) -> None:
    answer = me.post(route(chat(me), "message_id"), content=b"max_tokens=1")
    assert answer.status_code == 415


# ---------------------------------------------------------------- stopping


def test_stopping_keeps_what_was_said(me: httpx.Client, url: str) -> None:
    text = ""
    with me.stream("POST", STREAM, json={"message": LONG}) as answer:
        pieces = answer.iter_text()
        while "event: delta" not in text:
            text += next(pieces)
        head = parsed(text[: text.index("event: delta")])[0].data
        stopped = me.post(f"/api/v4/conversations/{head['conversation_id']}/stop").json()
        text += "".join(pieces)
    wanted = {key: head[key] for key in ("conversation_id", "message_id")}
    assert stopped == wanted | {"status": "stopped"}
    events = parsed(text)
    assert (events[-1].data["finish_reason"], events[-1].data["usage"]) == ("cancelled", None)
    row = audit.messages(url, head["conversation_id"])[-1]
    sent = "".join(event.data["text"] for event in events if event.name == "delta")
    assert (row.status, row.content) == ("stopped", sent)
    assert 0 < len(row.content) < len(LONG)


def test_where_nothing_runs_nothing_is_stopped(me: httpx.Client) -> None:
    name = chat(me)["conversation_id"]
    answer = me.post(f"/api/v4/conversations/{name}/stop")
    assert answer.json() == {"conversation_id": name, "message_id": None, "status": None}
    assert me.post(f"/api/v4/conversations/{GONE}/stop").status_code == 404


# ---------------------------------------------------------------- counting


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"system": "be very brief"},
        {"template": "default"},
        {"history": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]},
    ],
    ids=str,
)
def test_what_is_counted_is_what_the_model_reads(me: httpx.Client, body: dict[str, Any]) -> None:
    asked = {"message": "one two three"} | body
    counted = me.post("/api/v4/tokens", json=asked).json()
    answer = chat(me, asked["message"], **body)
    assert counted["prompt_tokens"] == shown_tokens(answer) == answer["context"]["prompt_tokens"]
    assert (counted["limit"], counted["fits"]) == (answer["context"]["limit"], True)
    assert counted["model"] == "echo"


def test_a_conversation_is_counted_as_it_would_go_on(me: httpx.Client, url: str) -> None:
    first = chat(me, "one two", system="be brief")
    name = first["conversation_id"]
    before = len(audit.messages(url, name))
    counted = me.post("/api/v4/tokens", json={"message": "three", "conversation_id": name}).json()
    assert len(audit.messages(url, name)) == before
    answer = chat(me, "three", conversation_id=name)
    assert counted["prompt_tokens"] == shown_tokens(answer) == 7


def test_counting_stores_nothing_and_refuses_what_chat_refuses(me: httpx.Client) -> None:
    assert me.post("/api/v4/tokens", json={"message": "hi"}).status_code == 200
    assert me.get("/api/v4/conversations").json()["conversations"] == []
    tokens = "/api/v4/tokens"
    refused(me, 404, "conversation-not-found", tokens, conversation_id=GONE)
    refused(me, 404, "template-not-found", tokens, template="nobody")
    refused(me, 404, "model-not-found", tokens, model="nobody")


# ---------------------------------------------------------------- titling


def test_a_title_is_the_beginning_of_the_first_question_until_the_model_makes_one(
    me: httpx.Client,
) -> None:
    question = (
        "  \n*Where* to in May, and with whom, and for how long, and by which means of travel?"
    )
    name = chat(me, question)["conversation_id"]
    begun = me.get(f"/api/v4/conversations/{name}").json()["title"]
    assert begun == "*Where* to in May, and with whom, and for how long, and by…"
    made = me.post(f"/api/v4/conversations/{name}/title").json()
    assert made["id"] == name
    assert made["title"].startswith("Where* to in May")  # the echo of the question
    assert me.get(f"/api/v4/conversations/{name}").json()["title"] == made["title"]
    assert me.post(f"/api/v4/conversations/{GONE}/title").status_code == 404


def test_after_going_back_to_a_question_the_next_one_takes_its_place(
    me: httpx.Client, url: str
) -> None:
    first = chat(me, "one two")
    name = first["conversation_id"]
    second = chat(me, "three", conversation_id=name)
    leaf = {"active_leaf_id": second["parent_id"]}
    assert me.patch(f"/api/v4/conversations/{name}", json=leaf).status_code == 200
    third = chat(me, "four", conversation_id=name)
    assert shown_tokens(third) == 2 + 2 + 1
    parents = {row.id: row.parent_id for row in audit.messages(url, name)}
    assert parents[third["parent_id"]] == parents[second["parent_id"]] == first["message_id"]
