"""Chats in stored conversations, over HTTP."""

from __future__ import annotations

import time
from typing import Any

import httpx

from app.storage.tables import Message
from tests.http.events import SentEvent, parsed
from tests.store import audit

CHAT, STREAM = "/api/v4/chat", "/api/v4/chat/stream"

LONG = "one two three four five " * 40_000
"""Takes the echo engine ten seconds, which nobody waits for; it has less than a megabyte."""
WHOLE = LONG[: len(LONG) // 10]
"""Takes it one."""


def chat(client: httpx.Client, message: str = "hi", **options: Any) -> dict[str, Any]:
    answer = client.post(CHAT, json={"message": message} | options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def streamed(client: httpx.Client, message: str, **options: Any) -> list[SentEvent]:
    answer = client.post(STREAM, json={"message": message} | options)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


def refused(
    client: httpx.Client, status: int, code: str, route: str = CHAT, **body: Any
) -> dict[str, Any]:
    answer = client.post(route, json={"message": "hi"} | body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    found: dict[str, Any] = answer.json()
    return found


def shown_tokens(answer: dict[str, Any]) -> int:
    """How many words the model read."""
    tokens: int = answer["usage"]["prompt_tokens"]
    return tokens


def wait_for(url: str, conversation_id: str, status: str, *, text: bool = False) -> Message:
    """Until the last answer has this status, and some text if told."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        rows = audit.messages(url, conversation_id)
        last = rows[-1] if rows and rows[-1].role == "assistant" else None
        if last and last.status == status and (last.content or not text):
            return last
        time.sleep(0.02)
    raise AssertionError([(row.role, row.status, len(row.content)) for row in rows])
