"""Compiling happens beside everything else: owners in turn, cancelled, refused when it is late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from app.provider.engine import Deferred
from app.provider.errors import ProviderError, UnsupportedConstraint
from app.provider.runtime import deferred_work
from app.provider.runtime.deferred_work import DeferredWork

Answers = SimpleQueue[tuple[int, Any]]


@pytest.fixture
def answers() -> Answers:
    return SimpleQueue()


@pytest.fixture
def work(answers: Answers) -> DeferredWork:
    return DeferredWork(lambda job, result: answers.put((job, result)))


def task(owner: str, finish: Callable[[], Any]) -> Deferred:
    return Deferred(owner, 1, lambda: None, finish)


class Gate:
    """A task that waits until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._begun = threading.Event()

    def __call__(self) -> str:
        self._begun.set()
        assert self._open.wait(60)
        return "opened"

    def wait(self) -> None:
        assert self._begun.wait(60)

    def open(self) -> None:
        self._open.set()


def test_owners_take_turns_and_a_cancelled_job_is_left_out(
    work: DeferredWork, answers: Answers
) -> None:
    gate = Gate()
    work.add(0, task("a", gate))
    gate.wait()
    for job, owner in enumerate("aaab", start=1):
        work.add(job, task(owner, lambda: "done"))
    assert work.cancel(2)
    assert not work.cancel(9)
    gate.open()
    assert [answers.get(timeout=60)[0] for _ in range(4)] == [0, 1, 4, 3]
    assert not work.cancel(1)


def test_a_job_cancelled_while_it_is_worked_on_gets_no_answer(
    work: DeferredWork, answers: Answers
) -> None:
    gate = Gate()
    work.add(1, task("a", gate))
    gate.wait()
    assert work.cancel(1)
    work.add(2, task("a", lambda: "next"))
    gate.open()
    assert answers.get(timeout=60) == (2, "next")


def test_what_takes_too_long_is_refused_and_the_next_one_waits_for_it(
    work: DeferredWork, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred_work, "LIMIT_SECONDS", 0.05)
    gate = Gate()
    work.add(1, task("a", gate))
    work.add(2, task("b", lambda: "next"))
    job, refusal = answers.get(timeout=60)
    assert job == 1
    assert isinstance(refusal, UnsupportedConstraint)
    assert answers.empty()
    gate.open()
    assert answers.get(timeout=60) == (2, "next")


def test_whatever_is_raised_is_the_answer(work: DeferredWork, answers: Answers) -> None:
    def refuse() -> None:
        raise UnsupportedConstraint("no")

    def panic() -> None:
        raise SystemExit

    work.add(1, task("a", refuse))
    work.add(2, Deferred("a", 1, panic, panic))
    work.add(3, task("a", lambda: "well"))
    assert isinstance(answers.get(timeout=60)[1], UnsupportedConstraint)
    assert isinstance(answers.get(timeout=60)[1], ProviderError)
    assert answers.get(timeout=60) == (3, "well")
