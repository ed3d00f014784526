"""Conversations with tool calls, tool results, thinking and developer messages in v4 and v5."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.conversations.store.messages import Added
from app.storage.database import Database
from app.storage.tables import Conversation
from tests.http.chatting import chat
from tests.http.frozen import require_valid
from tests.store import audit
from tests.store.tools import DEVELOPER, PICTURE, TEXT_TURN, TURN, append

CONVERSATION = "/conversations/{conversation_id}"
REGENERATE = CONVERSATION + "/messages/{message_id}/regenerate"
HIDDEN_WORDS = ("Lookingup", "Showers", "forecast", "one word")


@pytest.fixture(params=["v4", "v5"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass(frozen=True)
class Talk:
    """A conversation over one version's API: a plain exchange, a turn with tools, a developer."""

    client: httpx.Client
    version: str
    name: str
    plain: dict[str, Any]
    turn: Added

    @property
    def listed(self) -> list[str]:
        """Ids of the messages that are listed."""
        first = [self.plain["parent_id"], self.plain["message_id"]]
        return [*first, *(row.id for row in self.turn.listed)]

    @property
    def unlisted(self) -> list[str]:
        return [row.id for row in self.turn.rows if row.id not in self.listed]

    def ask(self, method: str, path: str, status: int = 200, **options: Any) -> httpx.Response:
        """Send a request; the answer has this status and is valid in the released document."""
        message = options.pop("message_id", "")
        url = path.format(conversation_id=self.name, message_id=message)
        answer = self.client.request(method, f"/api/{self.version}{url}", **options)
        assert answer.status_code == status, answer.text
        require_valid(self.version, path, answer)
        return answer

    def opened(self, **query: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", CONVERSATION, params=query).json()
        return found


def owner_of(session: Session, name: str) -> str:
    owner = session.scalar(select(Conversation.owner).where(Conversation.id == name))
    assert owner is not None
    return owner


@pytest.fixture
def talk(me: httpx.Client, url: str, version: str) -> Iterator[Talk]:
    plain = chat(me, "Hello there")
    name = plain["conversation_id"]

    def store(session: Session, stored: Any, behind: str) -> Added:
        return append(session, owner_of(session, name), name, behind, stored)

    with closing(Database(url)) as database:
        stored = [*(TEXT_TURN if version == "v4" else TURN), DEVELOPER]
        turn = database.transact(lambda it: store(it, stored, plain["message_id"]), writes=True)
    yield Talk(me, version, name, plain, turn)
    audit.require_indexed(url)


def test_only_questions_and_texts_of_answers_are_listed(talk: Talk) -> None:
    for branch in ("active", "all"):
        shown = talk.opened(branch=branch)
        assert [one["id"] for one in shown["messages"]] == talk.listed
        assert [one["parent_id"] for one in shown["messages"]] == [None, *talk.listed[:-1]]
        assert [one["role"] for one in shown["messages"]] == ["user", "assistant"] * 2
        assert shown["messages"][-1]["content"] == "Take an umbrella."
        assert shown["active_leaf_id"] == talk.listed[-1]
        assert not any(word in str(shown) for word in HIDDEN_WORDS)


@pytest.mark.parametrize("branch", ["active", "all"])
def test_pages_skip_what_is_not_listed(talk: Talk, branch: str) -> None:
    read: list[str] = []
    query: dict[str, Any] = {"branch": branch, "limit": 1}
    while True:
        page = talk.opened(**query)
        (message,) = page["messages"]
        read.insert(0, message["id"])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert read == talk.listed


def test_the_list_and_the_search_name_listed_messages(talk: Talk) -> None:
    (item,) = talk.ask("GET", "/conversations").json()["conversations"]
    assert (item["id"], item["active_leaf_id"]) == (talk.name, talk.listed[-1])
    found = talk.ask("GET", "/conversations", params={"query": "umbrella"}).json()
    assert found["conversations"][0]["match"]["message_id"] == talk.listed[-1]
    for word in HIDDEN_WORDS:
        found = talk.ask("GET", "/conversations", params={"query": word}).json()
        assert found["conversations"] == []


def test_an_export_as_json_is_refused_and_markdown_has_what_is_listed(talk: Talk) -> None:
    for query in ({}, {"images": "false"} if talk.version == "v5" else {"format": "json"}):
        refused = talk.ask("GET", f"{CONVERSATION}/export", 422, params=query).json()
        assert refused["errors"][0]["pointer"] == "/format"
        assert "tool calls" in refused["detail"]
    text = talk.ask("GET", f"{CONVERSATION}/export", params={"format": "markdown"}).text
    assert text.count("\n## ") == 4
    assert "> Take an umbrella." in text
    assert not any(word in text for word in HIDDEN_WORDS)


def test_a_question_that_tools_answered_is_answered_again(talk: Talk) -> None:
    for message_id in talk.listed[2:]:
        body = talk.ask("POST", REGENERATE, message_id=message_id, json={"model": "echo"}).json()
        assert body["parent_id"] == talk.listed[2]
        shown = talk.opened()["messages"]
        assert [one["id"] for one in shown] == [*talk.listed[:3], body["message_id"]]
    assert len(talk.opened(branch="all")["messages"]) == 6


def test_unlisted_messages_cannot_be_named(talk: Talk) -> None:
    assert len(talk.unlisted) == 3
    for message_id in talk.unlisted:
        refusals = [
            talk.ask("POST", REGENERATE, 404, message_id=message_id, json={}),
            talk.ask("PATCH", CONVERSATION, 404, json={"active_leaf_id": message_id}),
            talk.ask("POST", "/chat", 404, json=_question(talk, parent_id=message_id)),
        ]
        assert {one.json()["code"] for one in refusals} == {"message-not-found"}


def _question(talk: Talk, **options: Any) -> dict[str, Any]:
    model = {"v4": "echo", "v5": "echo-vision"}[talk.version]
    return {"message": "Thanks", "conversation_id": talk.name, "model": model} | options


def test_the_conversation_goes_on(talk: Talk) -> None:
    body = talk.ask("POST", "/chat", json=_question(talk)).json()
    question = talk.opened()["messages"][-2]
    assert (question["id"], question["parent_id"]) == (body["parent_id"], talk.listed[-1])
    talk.ask("PATCH", CONVERSATION, json={"active_leaf_id": talk.listed[1], "title": "Rain"})
    assert [one["id"] for one in talk.opened()["messages"]] == talk.listed[:2]
    assert talk.ask("POST", f"{CONVERSATION}/title").json()["title"]
    counted = talk.ask("POST", "/tokens", json=_question(talk)).json()
    assert counted["prompt_tokens"] == 2 + 2 + 1


@pytest.mark.parametrize("version", ["v5"], indirect=True)
def test_pictures_of_tool_results_are_shown_to_the_model_only(talk: Talk) -> None:
    body = talk.ask("POST", "/chat", json=_question(talk)).json()
    assert [one["sha256"] for one in body["context"]["images"]] == [PICTURE.sha256]
    assert body["images"] == []
    assert talk.ask("GET", f"{CONVERSATION}/images").json()["images"] == []
    assert [one["images"] for one in talk.opened()["messages"]] == [[]] * 6


def test_it_is_deleted_with_everything(talk: Talk, url: str) -> None:
    talk.ask("DELETE", CONVERSATION, 204)
    assert audit.messages(url, talk.name) == []
    assert talk.ask("GET", CONVERSATION, 404).json()["code"] == "conversation-not-found"
