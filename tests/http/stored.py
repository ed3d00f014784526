"""Reads, lists and makes stored conversations over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.http.chatting import LONG, STREAM, chat

URL = "/api/v4/conversations"
GONE = "00000000-0000-0000-0000-000000000000"
MOMENT = "2026-08-01T12:00:00.001Z"

PAGE_SIZE = 7


def found(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def opened(client: httpx.Client, conversation: str, **query: Any) -> dict[str, Any]:
    return found(client.get(f"{URL}/{conversation}", params=query))


def ids(page: dict[str, Any]) -> list[str]:
    return [one["id"] for one in page["messages" if "messages" in page else "conversations"]]


def listed(client: httpx.Client, **query: Any) -> list[str]:
    """All pages of the list."""
    page = found(client.get(URL, params=query))
    every = ids(page)
    while page["next_cursor"]:
        page = found(client.get(URL, params=query | {"cursor": page["next_cursor"]}))
        assert page["conversations"]
        every += ids(page)
    return every


def refused(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> None:
    body = found(answer, status)
    assert body["code"] == code
    if pointer is not None:
        assert [error["pointer"] for error in body["errors"]] == [pointer]


def brought(client: httpx.Client, title: str) -> str:
    """A conversation that was last used at MOMENT, like all that are made by this."""
    message = {"id": "1", "role": "user", "content": title, "created_at": MOMENT}
    return imported(client, title, [message])


def imported(client: httpx.Client, title: str, messages: list[dict[str, str]]) -> str:
    conversation = {
        "title": title,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "active_leaf_id": messages[-1]["id"],
        "messages": messages,
    }
    file = {"format": "sllm-conversation", "version": 1, "exported_at": MOMENT}
    answer = client.post(f"{URL}/import", json=file | {"conversation": conversation})
    return str(found(answer, 201)["id"])


def forest(client: httpx.Client) -> dict[str, Any]:
    """Two first questions; under the first answer two questions. Letter → answer."""
    one = chat(client, "A")
    where = {"conversation_id": one["conversation_id"]}
    below = chat(client, "B", **where)
    beside = chat(client, "C", parent_id=one["message_id"], **where)
    apart = chat(client, "D", parent_id=None, **where)
    last = chat(client, "E", **where)
    return {"A": one, "B": below, "C": beside, "D": apart, "E": last}


def texts(page: dict[str, Any]) -> str:
    return "".join(one["content"] for one in page["messages"])


@contextmanager
def being_answered(client: httpx.Client, **body: Any) -> Iterator[Iterator[str]]:
    """While an answer is being made that takes its time; gives what comes of the stream."""
    with client.stream("POST", STREAM, json={"message": LONG} | body) as answer:
        pieces = answer.iter_text()
        text = next(pieces)
        while "event: delta" not in text:
            text += next(pieces)
        yield pieces
