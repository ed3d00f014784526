"""Conversations of v6 as files: with thinking, tool calls, results and developer messages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from typing import Any

import httpx
import pytest

from app.storage.database import Database
from app.v6.models.transfer import EXAMPLES
from tests.http.resuming import asked
from tests.http.stored import found, refused
from tests.http.test_unlisted_messages import owner_of
from tests.http.vision import picture, sent
from tests.store import audit
from tests.store.tools import DEVELOPER, TEXT_TURN, append

URL = "/api/v6/conversations"
File = dict[str, Any]
WITH_TOOLS: File = EXAMPLES["tools"]["value"]

CHANGING = {"id", "parent_id", "previous_id"}


def exported(client: httpx.Client, name: str, **query: Any) -> File:
    return found(client.get(f"{URL}/{name}/export", params=query))


def imported(client: httpx.Client, file: File) -> str:
    return str(found(client.post(f"{URL}/import", json=file), 201)["id"])


def shown(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    """All messages; ids as their places in the order of making."""
    page = found(client.get(f"{URL}/{name}", params={"branch": "all"}))
    places = {one["id"]: at for at, one in enumerate(page["messages"])}
    return [one | {key: places.get(one[key]) for key in CHANGING} for one in page["messages"]]


@pytest.fixture
def rich(me: httpx.Client, url: str) -> str:
    """A conversation with everything that can be stored without a picture of a tool."""
    head = asked(me, "Look", images=[sent(picture(40, 30))], model="echo-vision").head
    name = str(head["conversation_id"])
    with closing(Database(url)) as database:
        stored = [*TEXT_TURN, DEVELOPER]
        database.transact(
            lambda it: append(it, owner_of(it, name), name, head["message_id"], stored),
            writes=True,
        )
    return name


def test_the_way_there_and_back(me: httpx.Client, rich: str, url: str) -> None:
    file = exported(me, rich)
    assert file["version"] == 3
    new = imported(me, file)
    assert shown(me, new) == shown(me, rich)
    again = exported(me, new)
    assert len(again["conversation"]["messages"]) == len(file["conversation"]["messages"])
    audit.require_sound(url)


def test_pictures_may_be_left_out(me: httpx.Client, rich: str) -> None:
    file = exported(me, rich, images=False)
    assert "images" not in file["conversation"]
    new = imported(me, file)
    assert [one["tool_calls"] for one in shown(me, new)] == [
        one["tool_calls"] for one in shown(me, rich)
    ]


def test_what_v4_can_hold_stays_version_one(me: httpx.Client) -> None:
    name = asked(me, "hi").head["conversation_id"]
    assert exported(me, name)["version"] == 1
    old = found(me.get(f"/api/v5/conversations/{name}/export"))
    assert len(shown(me, imported(me, old))) == 2


def test_v5_refuses_what_it_cannot_hold(me: httpx.Client, rich: str) -> None:
    answer = me.get(f"/api/v5/conversations/{rich}/export")
    refused(answer, 422, "invalid-request", "/format")


def test_the_example_is_imported(me: httpx.Client) -> None:
    messages = shown(me, imported(me, WITH_TOOLS))
    assert [one["role"] for one in messages] == ["user", "assistant", "tool", "assistant"]
    assert [one["previous_id"] for one in messages] == [None, 0, 1, 2]
    assert [one["parent_id"] for one in messages] == [None, 0, 0, 0]


Change = Callable[[list[dict[str, Any]]], Any]


@pytest.mark.parametrize(
    ("pointer", "change"),
    [
        ("/conversation/messages/3/parent_id", lambda it: it[3].update(parent_id="3")),
        ("/conversation/messages/2/previous_id", lambda it: it[2].update(previous_id="1")),
        ("/conversation/messages/1/previous_id", lambda it: it[1].update(previous_id="4")),
        ("/conversation/messages/1/content", lambda it: it[1].update(content="x")),
        ("/conversation/messages/2/parts/0", lambda it: it[2].update(parts=it[1]["parts"])),
        ("/conversation/messages/2/parts", lambda it: it[2].pop("parts")),
        ("/conversation/messages/2/status", lambda it: it[2].update(status="failed")),
        (
            "/conversation/messages/0/images",
            lambda it: it[0].update(
                parts=[{"type": "image"}, {"type": "text", "text": it[0]["content"]}]
            ),
        ),
    ],
)
def test_mistakes_are_found(me: httpx.Client, pointer: str, change: Change) -> None:
    file = deepcopy(WITH_TOOLS)
    change(file["conversation"]["messages"])
    answer = me.post(f"{URL}/import", json=file)
    assert pointer in [error["pointer"] for error in found(answer, 422)["errors"]]


def test_only_version_three_has_parts(me: httpx.Client) -> None:
    refused(me.post(f"{URL}/import", json=WITH_TOOLS | {"version": 2}), 422, "invalid-request")
    leaf = deepcopy(WITH_TOOLS)
    leaf["conversation"]["active_leaf_id"] = "3"
    refused(me.post(f"{URL}/import", json=leaf), 422, "invalid-request")
