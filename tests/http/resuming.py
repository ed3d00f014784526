"""Reads answers of v6 whose streams break off, and puts them together again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.http.events import SentEvent, parsed

CHAT, STREAM = "/api/v6/chat", "/api/v6/chat/stream"

ENDS = ("done", "error")


def stream_path(conversation_id: str, message_id: str) -> str:
    return f"/api/v6/conversations/{conversation_id}/messages/{message_id}/stream"


def path_of(ids: dict[str, Any]) -> str:
    """Where the answer can be read that these ids name."""
    return stream_path(ids["conversation_id"], ids["message_id"])


def events(answer: httpx.Response) -> Iterator[SentEvent]:
    """The events of a stream, as they come."""
    left = ""
    for piece in answer.iter_text():
        *blocks, left = (left + piece).split("\n\n")
        for block in blocks:
            yield from parsed(block)


@dataclass
class Copy:
    """What a client has put together of one answer, over all of its connections."""

    text: str = ""
    thinking: str = ""
    last_id: str = ""
    head: dict[str, Any] = field(default_factory=dict)
    resets: int = 0
    end: SentEvent | None = None

    def take(self, event: SentEvent) -> None:
        assert self.end is None, "nothing follows the end"
        match event.name:
            case "message":
                self.head = event.data
            case "delta":
                self.text += event.data["text"]
            case "thinking":
                self.thinking += event.data["text"]
            case "reset":
                self.text, self.thinking = event.data["text"], event.data["thinking"]
                self.resets += 1
            case name if name in ENDS:
                self.end = event
        self.last_id = event.id
        message_id, characters, *thinking = event.id.split(":")
        assert message_id == self.head["message_id"]
        assert (int(characters), thinking) == (
            len(self.text),
            [str(len(self.thinking))] if self.thinking else [],
        )

    def read(self, answer: httpx.Response, most: int | None = None) -> None:
        """Up to the end of the stream, or so many events."""
        for count, event in enumerate(events(answer), 1):
            self.take(event)
            if count == most:
                return

    def resume(self, client: httpx.Client, most: int | None = None) -> None:
        """Go on from the last event, as a browser does."""
        sent = {"Last-Event-ID": self.last_id} if self.last_id else {}
        with client.stream("GET", path_of(self.head), headers=sent) as answer:
            assert answer.status_code == 200, answer.read()
            self.read(answer, most)


def asked(client: httpx.Client, message: str, most: int | None = None, **body: Any) -> Copy:
    """Ask, and read the stream to its end, or so many events."""
    copy = Copy()
    with client.stream("POST", STREAM, json={"message": message} | body) as answer:
        assert answer.status_code == 200, answer.read()
        copy.read(answer, most)
    return copy
