"""Clients that go on reading after every lost connection, as browsers do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import httpx

from app.storage.tables import Message
from tests.http.resuming import STREAM, Copy
from tests.store import audit
from tests.store.at_once import at_once
from tests.store.load import WORDS

LENGTHS = (10, 1_000, 20_000)
"""Words of a question; the last takes the echo engine a part of a second."""


@dataclass
class Outcome:
    """What a client has of an answer, and what it had before each lost connection."""

    question: str
    copy: Copy
    had: list[str] = field(default_factory=list)


@dataclass
class Ledger:
    """What all clients have; ``unknown`` questions were cut off before they had an id."""

    outcomes: list[Outcome] = field(default_factory=list)
    unknown: int = 0

    @property
    def reconnects(self) -> int:
        """Lost connections in mid-answer."""
        return sum(len(one.had) for one in self.outcomes)


class Resumer:
    """Asks one question after the other, and reads every answer to its end."""

    def __init__(self, number: int, address: Callable[[], str], ledger: Ledger, seed: int) -> None:
        self._name = f"resumer{number}"
        self._address = address
        self._ledger = ledger
        self._random = Random(seed * 1000 + number)
        self._asked = 0

    def ask_until(self, over: threading.Event) -> None:
        while not over.is_set():
            self._asked += 1
            words = self._random.choices(WORDS, k=self._random.choice(LENGTHS))
            self._ask(" ".join([f"{self._name}q{self._asked}", *words]))

    def _ask(self, question: str) -> None:
        one = Outcome(question, Copy())
        while one.copy.end is None:
            try:
                self._connect(one)
            except httpx.TransportError:
                if not one.copy.head:  # a client cannot know whether it was stored
                    self._ledger.unknown += 1
                    return
                one.had.append(one.copy.text)
        self._ledger.outcomes.append(one)

    def _connect(self, one: Outcome) -> None:
        with httpx.Client(base_url=self._address(), timeout=120) as client:
            if one.copy.head:
                one.copy.resume(client)
                return
            body = {"message": one.question, "on_disconnect": "continue"}
            with client.stream("POST", STREAM, json=body) as answer:
                assert answer.status_code == 200, answer.read()
                one.copy.read(answer)


@contextmanager
def resumers(count: int, address: Callable[[], str], seed: int) -> Iterator[Ledger]:
    """Let so many ask; they read their last answer to its end when the block ends."""
    ledger = Ledger()
    with at_once(count, lambda number: Resumer(number, address, ledger, seed).ask_until):
        yield ledger


def require_same(url: str, ledger: Ledger) -> None:
    """Every stream ended as its answer is stored, and was reset only where it had to be."""
    audit.require_sound(url)
    rows = {row.id: row for row in audit.messages(url)}
    for one in ledger.outcomes:
        _require_same(one, rows[one.copy.head["message_id"]], rows)


def _require_same(one: Outcome, answer: Message, rows: dict[str, Message]) -> None:
    assert rows[str(answer.parent_id)].content == one.question
    assert one.copy.text == answer.content
    assert one.question.startswith(answer.content), "the echo engine repeats the question"
    ended = {"done": "complete", "error": "failed"}
    assert one.copy.end
    assert ended[one.copy.end.name] == answer.status
    ahead = any(len(text) > len(answer.content) for text in one.had)
    assert one.copy.resets == int(ahead)
