"""Answers in the background."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.chatting import LONG, wait_for
from tests.http.resuming import CHAT, STREAM, Copy, path_of
from tests.http.stored import found, opened, refused
from tests.store import audit

SLOTS = 8
"""Requests that an engine answers at a time; half of them in the background."""


def begun(client: httpx.Client, message: str, **body: Any) -> dict[str, Any]:
    answer = client.post(CHAT, json={"message": message, "background": True} | body)
    made = found(answer, 202)
    assert answer.headers["Location"] == made["stream"] == path_of(made)
    assert made["status"] == "generating"
    return made


def read(client: httpx.Client, made: dict[str, Any]) -> Copy:
    copy = Copy(head=made)
    copy.resume(client)
    return copy


def test_an_answer_is_made_without_a_reader(me: httpx.Client, url: str) -> None:
    made = begun(me, "one two three")
    assert wait_for(url, made["conversation_id"], "complete").content == "one two three"
    copy = read(me, made)
    assert copy.text == "one two three"
    assert copy.end
    assert copy.end.name == "done"


def test_more_are_taken_than_are_made_at_a_time(me: httpx.Client) -> None:
    words = [f"{number} one two three" for number in range(SLOTS * 3)]
    made = [begun(me, message) for message in words]
    copies = [read(me, one) for one in made]
    assert [copy.text for copy in copies] == words


def test_one_that_waits_for_its_turn_can_be_stopped(me: httpx.Client, url: str) -> None:
    running = [begun(me, LONG) for _ in range(SLOTS // 2)]
    waiting = begun(me, "one")
    for number, made in enumerate([waiting, *running]):
        stopped = found(me.post(f"/api/v6/conversations/{made['conversation_id']}/stop"))
        assert stopped["message_id"] == made["message_id"]
        kept = wait_for(url, made["conversation_id"], "stopped")
        assert number or kept.content == ""


def test_others_do_not_wait_for_them(me: httpx.Client, url: str) -> None:
    running = [begun(me, LONG) for _ in range(SLOTS)]
    assert found(me.post(CHAT, json={"message": "hi"}))["message"]["content"] == "hi"
    going_on = {row.id for row in audit.answers(url, "generating")}
    assert {made["message_id"] for made in running} <= going_on, "one of them had to end first"
    for made in running:
        me.post(f"/api/v6/conversations/{made['conversation_id']}/stop")


def test_regenerating_works_there_too(me: httpx.Client, url: str) -> None:
    first = begun(me, "one two")
    wait_for(url, first["conversation_id"], "complete")
    path = path_of(first).replace("/stream", "/regenerate")
    again = found(me.post(path, json={"background": True}), 202)
    assert read(me, again).text == "one two"
    page = opened(me, first["conversation_id"])
    assert page["active_leaf_id"] == again["message_id"]


def test_what_cannot_begin_is_refused(me: httpx.Client) -> None:
    made = begun(me, LONG)
    where = {"conversation_id": made["conversation_id"]}
    busy = {"message": "hi", "background": True} | where
    refused(me.post(CHAT, json=busy), 409, "conversation-busy")
    me.post(f"/api/v6/conversations/{made['conversation_id']}/stop")


def test_a_stream_is_not_in_the_background(me: httpx.Client) -> None:
    body = {"message": "hi", "background": True}
    refused(me.post(STREAM, json=body), 422, "invalid-request", "/background")


def test_so_many_are_taken_and_no_more(empty_models: Any) -> None:
    options = {"models_dir": empty_models, "max_background_answers": 2}
    with serving(**options, context_length=10**7, default_max_tokens=10**7) as client:
        made = [begun(client, LONG) for _ in range(2)]
        answer = client.post(CHAT, json={"message": "hi", "background": True})
        refused(answer, 429, "too-many-background-answers")
        assert answer.headers["Retry-After"]
        for one in made:
            client.post(f"/api/v6/conversations/{one['conversation_id']}/stop")


def test_none_are_taken_where_the_setting_is_zero(empty_models: Any) -> None:
    with serving(models_dir=empty_models, max_background_answers=0) as client:
        answer = client.post(CHAT, json={"message": "hi", "background": True})
        refused(answer, 429, "too-many-background-answers")


@pytest.mark.matrix
def test_a_thousand_answers(empty_models: Any, database_url: str) -> None:
    with serving(models_dir=empty_models, database_url=database_url) as client:
        made = [begun(client, f"{number} one two three") for number in range(1000)]
        for number, one in enumerate(made):
            assert read(client, one).text == f"{number} one two three"
    rows = audit.answers(database_url, "complete")
    assert len(rows) == 1000
    audit.require_sound(database_url)
