"""Thinking ends with its budget, when it goes in circles, and while there is room for an answer."""

from __future__ import annotations

import random
from array import array
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from app.provider.generation.constraints.loops import repeats
from app.provider.generation.constraints.thinking_phase import answer_room
from app.provider.types import Constraint, Prompt, ThinkingDelta
from tests.provider.asking import Reply, prompt
from tests.provider.gguf_driver import Driver
from tests.provider.scripted import CHATML, CONTROL, make

THINKS = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
MARKERS = ("<think>", "</think>")
YES = Constraint("regex", "yes|no")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """Its prompts open thinking, and it writes nothing but the letter x."""
    path = tmp_path_factory.mktemp("endless") / "model.gguf"
    made = make(path, THINKS, ["x", "x"], control=CONTROL, user=MARKERS, eos="<|im_end|>")
    return Driver.of(made, kv_cache_bytes=2**20, context_length=2048)


def thinking(reply: Reply) -> str:
    return "".join(event.text for event in reply.events if isinstance(event, ThinkingDelta))


def asked(
    budget: int | None = None, constraint: Constraint | None = None, **sampling: Any
) -> Prompt:
    given = prompt("hi", **sampling)
    return structs.replace(given, thinking=True, thinking_budget=budget, constraint=constraint)


@pytest.mark.parametrize("budget", [0, 1, 7])
def test_a_budget_closes_the_thinking_and_the_answer_follows(endless: Driver, budget: int) -> None:
    reply = endless.ask(asked(budget))
    assert thinking(reply) == "x" * budget + "\n"
    assert reply.text.startswith("xxx")
    assert reply.end.reason == "length"


def test_a_constraint_holds_after_the_thinking_only(endless: Driver) -> None:
    reply = endless.ask(asked(9, YES))
    assert thinking(reply) == "x" * 9 + "\n"
    assert reply.text in {"yes", "no"}
    assert reply.end.reason == "stop"


def test_thinking_in_circles_is_cut(endless: Driver) -> None:
    reply = endless.ask(asked(constraint=YES, max_tokens=2000))
    assert 3 * 64 <= thinking(reply).count("x") < 3 * 64 + 17
    assert reply.text in {"yes", "no"}


def test_thinking_leaves_room_for_the_answer(endless: Driver) -> None:
    reply = endless.ask(asked(constraint=YES, max_tokens=100))
    assert 40 <= thinking(reply).count("x") <= 50
    assert reply.text in {"yes", "no"}


def test_whoever_does_not_ask_for_thinking_gets_what_the_model_writes(endless: Driver) -> None:
    reply = endless.ask(prompt("hi", max_tokens=500))
    assert (reply.text, reply.end.reason) == ("", "length")


def test_a_model_that_knows_the_marker_may_think_before_a_bound_answer(tmp_path: Path) -> None:
    script = ["<think>", "h", "m", "</think>", "n", "o", "t", "<|im_end|>"]
    made = make(tmp_path / "m", CHATML, script, control=(*CONTROL, *MARKERS), eos="<|im_end|>")
    driver = Driver.of(made, kv_cache_bytes=2**20, context_length=512)
    reply = driver.ask(asked(constraint=YES))
    assert (thinking(reply), reply.text) == ("hm", "no")
    closed = driver.ask(asked(0, YES))
    assert (thinking(closed), closed.text) == ("\n", "no")


def test_an_end_within_thinking_is_no_answer(tmp_path: Path) -> None:
    made = make(
        tmp_path / "m", THINKS, ["h", "<|im_end|>"], control=CONTROL, user=MARKERS, eos="<|im_end|>"
    )
    driver = Driver.of(made, kv_cache_bytes=2**20, context_length=512)
    reply = driver.ask(asked(5, YES))
    assert thinking(reply).startswith("h")
    assert reply.text in {"yes", "no"}


@pytest.mark.parametrize("run", [1, 7, 63, 64, 65, 200])
def test_a_run_that_comes_three_times_over_is_found(run: int) -> None:
    dice = random.Random(run)
    tokens = array("i", [dice.randrange(300) for _ in range(500)])
    loop = [dice.randrange(300) for _ in range(run)]
    long = loop * -(-64 // run)
    assert not repeats(tokens)
    assert not repeats(tokens + array("i", long * 2))
    assert repeats(tokens + array("i", long * 3))
    assert not repeats(tokens + array("i", [*long * 3, 999]))


def test_a_run_with_repetitions_inside_is_found() -> None:
    inner = [1, 2, 3] * 30
    run = [*inner, 7, *inner, 8, *inner]
    assert not repeats(array("i", [9, *run, *run]))
    assert repeats(array("i", [9, *run, *run, *run]))


@pytest.mark.parametrize(
    ("limit", "room"),
    [(1, 0), (64, 32), (256, 128), (512, 256), (1024, 256), (4096, 1024), (99999, 1024)],
)
def test_the_room_for_the_answer(limit: int, room: int) -> None:
    assert answer_room(limit) == room
