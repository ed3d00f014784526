"""Every version is kept; conversations keep the one they began with."""

from __future__ import annotations

import httpx
import pytest

from tests.http.editing import MINE, PATH, made, problem, put, reply_text, restore, versions


def test_every_edit_keeps_the_old_one(me: httpx.Client) -> None:
    made(me, name="default")
    put(me, "default", "Two.")
    assert me.delete(f"{PATH}/default").status_code == 204
    put(me, "default", "Four.")
    found = versions(me, "default")
    assert [each["version"] for each in found] == [4, 3, 2, 1]
    assert [each["deleted"] for each in found] == [False, True, False, False]
    assert found[1]["template"] is None
    assert found[3]["template"] == MINE | {"name": "default"}
    assert found[0]["created_at"] == me.get(f"{PATH}/default").json()["updated_at"]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_versions_come_in_pages(me: httpx.Client, limit: int) -> None:
    for number in range(5):
        put(me, "default", f"{number}")
    assert [each["version"] for each in versions(me, "default", limit=limit)] == [5, 4, 3, 2, 1]


def test_who_has_versions(me: httpx.Client) -> None:
    assert versions(me, "default") == []
    assert problem(me.get(f"{PATH}/nobody/versions")) == (404, "template-not-found")
    made(me)
    me.delete(f"{PATH}/mine")
    assert [each["deleted"] for each in versions(me, "mine")] == [True, False]


def test_an_old_version_can_be_put_in_force_again(me: httpx.Client) -> None:
    made(me)
    put(me, "mine", "Two.")
    answer = restore(me, "mine", 1)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
    assert answer.json()["system"] == MINE["system"]
    assert answer.json() == me.get(f"{PATH}/mine").json()
    assert [each["version"] for each in versions(me, "mine")] == [3, 2, 1]


def test_a_deleted_template_can_be_restored(me: httpx.Client) -> None:
    made(me)
    me.delete(f"{PATH}/mine")
    assert restore(me, "mine", 1).json()["version"] == 3
    assert reply_text(me, template="mine") == "<hi>"


def test_what_cannot_be_restored(me: httpx.Client) -> None:
    made(me)
    me.delete(f"{PATH}/mine")
    for version in (0, 2, 3, 2**31 - 1):
        refused = problem(restore(me, "mine", version))
        assert refused == (404, "template-version-not-found")
    assert problem(restore(me, "nobody", 0)) == (404, "template-not-found")
    assert problem(restore(me, "nobody", 1)) == (404, "template-not-found")
    assert problem(restore(me, "default", 1)) == (404, "template-version-not-found")
    assert problem(restore(me, "mine", 2**31)) == (422, "invalid-request")


def test_version_0_is_the_built_in(me: httpx.Client) -> None:
    before = me.get(f"{PATH}/default")
    put(me, "default", "Mine.")
    for _ in range(2):  # the second time there is nothing left to do
        answer = restore(me, "default", 0)
        assert answer.json() == before.json()
        assert answer.headers["etag"] == before.headers["etag"]
    assert [each["deleted"] for each in versions(me, "default")] == [True, False]
    assert restore(me, "default", 1).json()["version"] == 3


def test_a_conversation_keeps_the_template_it_began_with(me: httpx.Client) -> None:
    made(me)
    begun = me.post("/api/v4/chat", json={"message": "hi", "template": "mine"}).json()
    assert (begun["message"]["content"], begun["template"]) == ("<hi>", "mine")
    going_on = {"conversation_id": begun["conversation_id"], "message": "on"}
    me.put(f"{PATH}/mine", json=MINE | {"user": "[{{ message }}]"})
    assert reply_text(me, **going_on) == "<on>"
    assert reply_text(me, **going_on, template="mine") == "[on]"
    assert reply_text(me, **going_on) == "[on]"
    me.delete(f"{PATH}/mine")
    assert reply_text(me, **going_on) == "[on]"
    gone = me.post("/api/v4/chat", json=going_on | {"template": "mine"})
    assert problem(gone) == (404, "template-not-found")
    assert reply_text(me, **going_on) == "[on]"


def test_the_stream_uses_the_own_template_too(me: httpx.Client) -> None:
    made(me, name="default")
    asked = {"message": "hi", "template": "default"}
    assert '"text":"<hi>"' in me.post("/api/v4/chat/stream", json=asked).text.replace(": ", ":")
    assert me.post("/api/v3/chat", json=asked).json()["message"]["content"] == "hi"
