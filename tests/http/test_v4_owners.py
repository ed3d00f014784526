"""To everybody but its owner a conversation does not exist."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from app import versions
from tests.http.chatting import CHAT, STREAM, chat
from tests.http.owners import Owner
from tests.http.stored import (
    GONE,
    listed,
    opened,
    refused,
)


def addressed() -> list[tuple[str, str]]:
    """Method and path of every route of v4 that has a conversation in its address."""
    routes: list[APIRoute] = versions.compose(versions.RELEASES[:4])
    return [
        (method, route.path)
        for route in routes
        for method in route.methods or ()
        if "{conversation_id}" in route.path
    ]


def named() -> list[str]:
    """Path of every route of v4 that takes a conversation in its body."""
    document = versions.document("v4")
    return [
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "conversation_id" in fields(document, operation)
    ]


def fields(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[-1]
    return set(document["components"]["schemas"].get(name, {}).get("properties", ()))


BODIES = {"PATCH": {"title": "mine now"}, "POST": {}}


def test_the_walk_sees_the_routes() -> None:
    methods = {method for method, path in addressed() if path == "/conversations/{conversation_id}"}
    assert methods == {"GET", "PATCH", "DELETE"}
    assert ("POST", "/conversations/{conversation_id}/stop") in addressed()
    assert {CHAT, STREAM} <= set(named())


def test_to_anyone_else_a_conversation_does_not_exist(owner: Owner) -> None:
    me, other = owner(), owner()
    one = chat(me, "secret")
    before = opened(me, one["conversation_id"])
    for method, path in addressed():
        address = path.format_map(one)
        answer = other.request(method, f"/api/v4{address}", json=BODIES.get(method))
        refused(answer, 404, "conversation-not-found")
        assert "secret" not in answer.text
    for path in named():
        body = {"message": "hi", "conversation_id": one["conversation_id"]}
        refused(other.post(path, json=body), 404, "conversation-not-found")
    assert listed(other) == listed(other, query="secret") == []
    assert opened(me, one["conversation_id"]) == before


@pytest.mark.parametrize(
    "nonsense", ["x", "%00", "a%00b", "가", "%FF%FE", "..%2F..", "x" * 20_000, GONE, "'--", "{}"]
)
def test_an_id_of_nonsense_is_an_unknown_one(me: httpx.Client, nonsense: str) -> None:
    for method, path in addressed():
        address = path.format(conversation_id=nonsense, message_id=nonsense)
        answer = me.request(method, f"/api/v4{address}", json=BODIES.get(method))
        if "%2F" in nonsense:  # is another address altogether
            assert answer.status_code == 404
        else:
            refused(answer, 404, "conversation-not-found")


@pytest.mark.parametrize("nonsense", ["x", "%00", "가", "x" * 20_000, GONE])
def test_so_is_one_of_a_message(me: httpx.Client, nonsense: str) -> None:
    conversation = chat(me)["conversation_id"]
    routes = [(method, path) for method, path in addressed() if "{message_id}" in path]
    assert routes
    for method, path in routes:
        address = path.format(conversation_id=conversation, message_id=nonsense)
        answer = me.request(method, f"/api/v4{address}", json=BODIES.get(method))
        refused(answer, 404, "message-not-found")
