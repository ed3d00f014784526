"""Clients that chat as fast as they can and note what they were told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.http.events import parsed
from tests.store import audit
from tests.store.at_once import at_once

WORDS = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("a", "en", "ir", "ot", "ush")]

LENGTHS = (1, 50, 1_000, 10_000)
"""Words of a question; the last takes the echo engine a part of a second."""


@dataclass
class Outcome:
    """What a client was told of one question: the last event, and all text before it."""

    question: str
    text: str
    last: str
    answer_id: str
    conversation_id: str


@dataclass
class Ledger:
    """What all clients sent and were told."""

    sent: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    cut_off: int = 0

    def done(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.last == "done"]

    def failed(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.last == "error"]


class Client:
    """One user with one conversation at a time."""

    def __init__(self, number: int, address: Callable[[], str], ledger: Ledger, seed: int) -> None:
        self._name = f"client{number}"
        self._address = address
        self._ledger = ledger
        self._random = Random(seed * 1000 + number)
        self._conversation: str | None = None
        self._asked = 0

    def chat_until(self, over: threading.Event) -> None:
        """Ask, and ask again, whatever happens to the server."""
        with httpx.Client(timeout=60) as client:
            while not over.is_set():
                try:
                    self._ask(client)
                except httpx.TransportError:
                    self._ledger.cut_off += 1

    def _ask(self, client: httpx.Client) -> None:
        self._asked += 1
        length = self._random.choice(LENGTHS)
        question = " ".join([f"{self._name}q{self._asked}", *self._random.choices(WORDS, k=length)])
        body: dict[str, Any] = {"message": question, "when_busy": "wait"}
        if self._conversation and self._random.random() < 0.8:
            body["conversation_id"] = self._conversation
        way = self._random.choice([self._whole, self._stream])
        address = self._address()
        self._ledger.sent.append(question)
        way(client, address, question, body)

    def _whole(
        self, client: httpx.Client, address: str, question: str, body: dict[str, Any]
    ) -> None:
        answer = client.post(f"{address}/api/v4/chat", json=body)
        reply = answer.json()
        self._ledger.statuses.add(answer.status_code)
        if answer.status_code == 200:
            text, last = reply["message"]["content"], "done"
        elif "message_id" in reply:
            text, last = "", "refused"
        else:
            self._ledger.refused.append(answer.status_code)
            return
        self._note(question, text, last, reply)

    def _stream(
        self, client: httpx.Client, address: str, question: str, body: dict[str, Any]
    ) -> None:
        with client.stream("POST", f"{address}/api/v4/chat/stream", json=body) as answer:
            received = self._received(answer)
        self._ledger.statuses.add(answer.status_code)
        if answer.status_code != 200:
            self._whole_problem(question, answer.status_code, received)
            return
        events = parsed(received)
        text = "".join(event.data["text"] for event in events if event.name == "delta")
        self._note(question, text, events[-1].name, events[0].data)

    def _received(self, answer: httpx.Response) -> str:
        """All of it; the conversation is known from the first event on."""
        text = ""
        for piece in answer.iter_text():
            if not text and piece.startswith("event: message"):
                data = piece.split("\n", 3)[2].removeprefix("data: ")
                self._conversation = json.loads(data)["conversation_id"]
            text += piece
        return text

    def _whole_problem(self, question: str, status: int, received: str) -> None:
        problem = json.loads(received)
        if "message_id" in problem:
            self._note(question, "", "refused", problem)
        else:
            self._ledger.refused.append(status)

    def _note(self, question: str, text: str, last: str, ids: dict[str, Any]) -> None:
        self._conversation = ids["conversation_id"]
        outcome = Outcome(question, text, last, ids["message_id"], ids["conversation_id"])
        self._ledger.outcomes.append(outcome)


@contextmanager
def clients(count: int, address: Callable[[], str], seed: int) -> Iterator[Ledger]:
    """Let so many chat; they finish their last question when the block ends."""
    ledger = Ledger()
    with at_once(count, lambda number: Client(number, address, ledger, seed).chat_until):
        yield ledger


def require_kept(url: str, ledger: Ledger) -> None:
    """What was told is stored exactly so, what was sent at most once, and all is sound."""
    audit.require_sound(url)
    rows = {row.id: row for row in audit.messages(url)}
    questions = [row.content for row in rows.values() if row.role == "user"]
    assert len(set(questions)) == len(questions), "a question is stored twice"
    assert set(questions) <= set(ledger.sent)
    for row in rows.values():
        if row.role == "assistant":  # the echo engine repeats the question
            assert rows[str(row.parent_id)].content.startswith(row.content)
    for outcome in ledger.outcomes:
        answer = rows[outcome.answer_id]
        assert answer.conversation_id == outcome.conversation_id
        assert rows[str(answer.parent_id)].content == outcome.question
        if outcome.last == "done":
            assert (answer.status, answer.content) == ("complete", outcome.text)
        elif outcome.last == "error":
            assert (answer.status, answer.content) == ("failed", outcome.text)
        else:
            assert answer.status == "failed"
