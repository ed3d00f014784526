"""Searching stored conversations over HTTP."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.http.chatting import chat
from tests.http.stored import (
    URL,
    found,
    listed,
    refused,
)

pytestmark = pytest.mark.sql_differs


def test_a_search_finds_words_in_any_language_and_says_where(me: httpx.Client) -> None:
    korean = chat(me, "어제 고양이가 지붕에 올라갔어요")
    english = chat(me, "The cat is on the roof. " * 20 + "An elephant came by.")
    assert listed(me, query="고양") == [korean["conversation_id"]]
    assert listed(me, query="ROOF phant") == [english["conversation_id"]]
    assert listed(me, query="on") == [english["conversation_id"]]
    assert listed(me, query="cat 고양이") == []
    (hit,) = found(me.get(URL, params={"query": "elephant"}))["conversations"]
    assert hit["match"]["message_id"] == english["message_id"]
    assert re.fullmatch(r"….*An elephant came by\.", hit["match"]["snippet"])
    assert len(hit["match"]["snippet"]) < 200


def test_a_search_pages_by_the_newest_match(me: httpx.Client) -> None:
    made = [chat(me, f"needle {number}")["conversation_id"] for number in range(9)]
    chat(me, "hay", conversation_id=made[0])
    chat(me, "another needle", conversation_id=made[4])
    expected = [made[4], *(one for one in made[::-1] if one != made[4])]
    assert listed(me, query="needle", limit=2) == expected
    assert listed(me, query="needle") == expected


@pytest.mark.parametrize("query", ["", " ", "…!?", "_ -", "\0"])
def test_a_search_for_nothing_is_refused(me: httpx.Client, query: str) -> None:
    refused(me.get(URL, params={"query": query}), 422, "invalid-request", "/query")


def test_a_search_for_too_much_is_refused(me: httpx.Client) -> None:
    refused(me.get(URL, params={"query": "x" * 201}), 422, "invalid-request", "/query")
    assert listed(me, query="x " * 100) == []
