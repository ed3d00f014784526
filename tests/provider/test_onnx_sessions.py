"""Conversations of paged models, which stay with their pages for the next turn.

There is no GPU here. A graph that stands in for the GPU's operator (``paged_model``) runs on a CPU.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.provider.engine import Engine, missing_library
from app.provider.engines.onnx.settings import read_settings
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.types import Sampling
from tests.provider.paged_asking import PROMPT, Spoken, admit, build, continued, replies
from tests.provider.paged_model import CONTEXT, PAGE, likeliest, write_paged

if library := missing_library("onnx"):
    pytest.skip(f"onnx: {library} is not installed", allow_module_level=True)
GENAI = pytest.importorskip("app.provider.engines.onnx.genai.library")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paged(tmp_path_factory.mktemp("paged") / "model")


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    engine = build(folder)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def spoken(folder: Path) -> Spoken:
    return Spoken(folder)


def test_a_next_turn_computes_only_what_is_new(engine: Engine, spoken: Spoken) -> None:
    first = continued(engine, PROMPT)
    answer = likeliest(PROMPT, 12)
    longer = [*PROMPT, *answer, 7, 8, 9]
    second = continued(engine, longer)
    assert (first.started.cached_tokens, first.text) == (0, spoken(answer))
    # The last token of an answer is drawn, but not computed before the next turn.
    assert second.started.cached_tokens == len(PROMPT) + len(answer) - 1
    assert second.end.usage.cached_tokens == second.started.cached_tokens
    assert second.started.prompt_tokens == len(longer)
    assert second.text == spoken(likeliest(longer, 12))


def test_a_question_asked_differently_goes_back_to_its_turn(engine: Engine, spoken: Spoken) -> None:
    continued(engine, PROMPT)
    history = [*PROMPT, *likeliest(PROMPT, 12)]
    continued(engine, [*history, 7, 8, 9])
    other = continued(engine, [*history, 70, 80])
    assert other.started.cached_tokens == len(history)
    assert other.text == spoken(likeliest([*history, 70, 80], 12))
    anew = continued(engine, [*PROMPT[:70], 5])
    assert anew.started.cached_tokens == 0
    assert anew.text == spoken(likeliest([*PROMPT[:70], 5], 12))


def test_owners_never_share(engine: Engine, folder: Path) -> None:
    continued(engine, PROMPT, owner="one")
    longer = [*PROMPT, *likeliest(PROMPT, 12), 7]
    assert continued(engine, longer, owner="two").started.cached_tokens == 0
    assert continued(engine, longer, owner="one").started.cached_tokens > 80
    own = GENAI.overlay(read_settings(folder), 1, GENAI.BatchLimits(1, 512, 512), PAGE)
    assert own["engine"]["dynamic_batching"]["prefix_caching"] is False  # it is everybody's


def test_an_answer_that_was_cut_off_can_be_continued(engine: Engine, spoken: Spoken) -> None:
    """By a stop string, and by a client that left."""
    answer = likeliest(PROMPT, 12)
    reply = continued(engine, PROMPT, stop=(spoken(answer[4:6]),))
    assert reply.end.reason == "stop"
    longer = [*PROMPT, *answer[: reply.end.usage.completion_tokens], 7]
    after_stop = continued(engine, longer, max_tokens=200)
    assert after_stop.started.cached_tokens >= len(PROMPT)
    assert after_stop.text == spoken(likeliest(longer, 200))

    admit(engine, 1, PROMPT, owner="two", max_tokens=200)
    for _ in range(5):
        engine.step()
    engine.drop(1)
    engine.step()
    known = continued(engine, [*PROMPT, *likeliest(PROMPT, 4), 7], owner="two")
    assert known.started.cached_tokens >= len(PROMPT) + 3
    assert known.text == spoken(likeliest([*PROMPT, *likeliest(PROMPT, 4), 7], 12))


def test_an_answer_that_the_model_ended_is_known_whole(engine: Engine, spoken: Spoken) -> None:
    prompts = ([*PROMPT, last] for last in range(3, 3000))
    ends, answer = next((p, answer) for p in prompts if 0 < len(answer := likeliest(p, 6)) < 6)
    reply = continued(engine, ends)
    usage = reply.end.usage
    assert (reply.end.reason, usage.completion_tokens) == ("stop", len(answer))
    after = continued(engine, [*ends, *answer, 2, 7])
    assert after.started.cached_tokens == len(ends) + len(answer)
    assert after.text == spoken(likeliest([*ends, *answer, 2, 7], 12))


def test_kept_turns_make_room_for_new_ones(folder: Path, spoken: Spoken) -> None:
    """Random turns and branches of more conversations than there are rows, in few pages."""
    engine = build(folder, slots=3, kv_cache_bytes=1)
    dice = random.Random(11)
    histories = [[*range(n * 50 + 3, n * 50 + 73)] for n in range(9)]
    cached = 0
    for _ in range(30):
        chosen = dice.sample(range(9), 3)
        for job, number in enumerate(chosen):
            kept = histories[number][: dice.choice((70, 999))]
            histories[number] = [*kept, dice.randrange(3, 99)]
            limit = min(dice.randint(1, 20), CONTEXT - len(histories[number]))
            admit(engine, job, histories[number], str(number), max_tokens=limit)
        for number, reply in zip(chosen, replies(engine, 0, 1, 2), strict=True):
            answer = likeliest(histories[number], reply.end.usage.completion_tokens)
            assert reply.text == spoken(answer)
            cached += reply.started.cached_tokens
            histories[number] += answer
    assert cached > 1000
    engine.close()


def test_a_seed_repeats_an_answer_also_in_a_later_turn(engine: Engine) -> None:
    hot: dict[str, Any] = {"seed": 4, "temperature": 3.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    longer = [*PROMPT, *likeliest(PROMPT, 12), 7]
    sampling = Sampling(max_tokens=12, **hot)
    asked = PreparedPrompt(array("i", longer), "", sampling, context_length=CONTEXT)
    assert engine.admit(0, asked)
    (alone,) = replies(engine, 0)
    continued(engine, PROMPT)
    assert engine.admit(0, asked)
    (later,) = replies(engine, 0)
    assert later.started.cached_tokens > 80
    assert later.text == alone.text
