"""Cursors are opaque, and good for one list only."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.http.chatting import chat
from tests.http.owners import Owner
from tests.http.stored import GONE, URL, found, refused

pytestmark = pytest.mark.sql_differs


def token(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "=" * 9, "a" * 5000, token(), token(scope="x", at=1, id="x"), "bnVsbA", "W10"],
)
def test_a_broken_cursor_is_refused(me: httpx.Client, cursor: str) -> None:
    conversation = chat(me)["conversation_id"]
    for route in (URL, f"{URL}?query=hi", f"{URL}/{conversation}"):
        joined = f"{route}{'&' if '?' in route else '?'}cursor={cursor}"
        refused(me.get(joined), 422, "invalid-request", "/cursor")


def test_a_cursor_belongs_to_one_list_of_one_owner(owner: Owner) -> None:
    me, other = owner(), owner()
    one, two = chat(me)["conversation_id"], chat(me)["conversation_id"]
    chat(me, conversation_id=one)
    chat(me, conversation_id=two)
    lists: list[tuple[str, dict[str, Any]]] = [
        (URL, {}),
        (URL, {"query": "hi"}),
        (URL, {"query": "h"}),
        (f"{URL}/{one}", {}),
        (f"{URL}/{one}", {"branch": "all"}),
        (f"{URL}/{two}", {}),
        (f"{URL}/{two}", {"branch": "all"}),
    ]
    cursors = [found(me.get(at, params=query | {"limit": 1}))["next_cursor"] for at, query in lists]
    assert all(cursors)
    for number, (at, query) in enumerate(lists):
        for of, cursor in enumerate(cursors):
            answer = me.get(at, params=query | {"cursor": cursor})
            assert answer.status_code == (200 if of == number else 422), answer.text
    refused(other.get(URL, params={"cursor": cursors[0]}), 422, "invalid-request", "/cursor")


@pytest.mark.parametrize("key", [{"at": 2**63}, {"at": -1}, {"id": "a\0"}, {"id": "x" * 999}])
def test_a_forged_cursor_reaches_no_database(me: httpx.Client, key: dict[str, Any]) -> None:
    conversation = chat(me)["conversation_id"]
    chat(me)
    chat(me, conversation_id=conversation)
    for route in (URL, f"{URL}/{conversation}", f"{URL}/{conversation}?branch=all"):
        real = found(me.get(route, params=httpx.URL(route).params.merge({"limit": 1})))
        fields = json.loads(base64.urlsafe_b64decode(real["next_cursor"] + "==="))
        query = httpx.URL(route).params.merge({"cursor": token(**fields | key)})
        refused(me.get(route, params=query), 422, "invalid-request", "/cursor")


@pytest.mark.parametrize(
    ("branch", "key"), [("active", {"id": GONE}), ("all", {"at": 0}), ("all", {"at": 1})]
)
def test_a_cursor_that_leads_nowhere_is_refused(
    me: httpx.Client, branch: str, key: dict[str, Any]
) -> None:
    address = f"{URL}/{chat(me)['conversation_id']}"
    page = found(me.get(address, params={"branch": branch, "limit": 1}))
    fields = json.loads(base64.urlsafe_b64decode(page["next_cursor"] + "==="))
    query = {"branch": branch, "cursor": token(**fields | key)}
    refused(me.get(address, params=query), 422, "invalid-request", "/cursor")
