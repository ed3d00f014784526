"""One question, one answer, whatever format the starter is in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from app.provider.engine import ENGINES, EngineLimits, EngineSpec, load, missing_library
from app.provider.types import Delta, End
from tests.provider.asking import STARTERS, prompt
from tests.selection import matrix

ANSWERS = Path(__file__).parents[2] / "training" / "starter" / "answers"
OTHERS = sorted(STARTERS.keys() - {"echo", "gguf"})


def held_out() -> Iterator[str]:
    """A question of each intent in both languages; the starter was trained on none of them."""
    for file in sorted(ANSWERS.glob("*.toml")):
        for intent in tomllib.loads(file.read_text(encoding="utf-8")).values():
            for language in ("en", "ko"):
                yield intent[language]["held"][0]


QUESTIONS = list(held_out())[::3]


def answers(name: str, questions: list[str]) -> list[str]:
    """Of an engine stepped in this process: one of its own takes seconds to start."""
    texts, ended, begun = [""] * len(questions), 0, 0
    spec = EngineSpec(ENGINES[name], str(STARTERS[name]), EngineLimits())
    with closing(load(spec, lambda _: None)) as engine:
        while ended < len(questions):
            while begun < len(questions) and engine.admit(
                begun, engine.prepare(prompt(questions[begun]))
            ):
                begun += 1
            for job, event in engine.step():
                assert not isinstance(event, Exception), event
                texts[job] += event.text if isinstance(event, Delta) else ""
                ended += isinstance(event, End)
    return texts


@cache
def answers_of_gguf(every: int) -> list[str]:
    return answers("gguf", QUESTIONS[::every])


@pytest.mark.parametrize("every", [9, *matrix(1)])
@pytest.mark.parametrize("engine", [one for one in OTHERS if one != "mlx"] + matrix("mlx"))
def test_every_engine_answers_like_the_gguf(engine: str, every: int) -> None:
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    assert len(QUESTIONS) >= 40
    asked = QUESTIONS[::every]
    given = answers(engine, asked)
    assert dict(zip(asked, given, strict=True)) == dict(
        zip(asked, answers_of_gguf(every), strict=True)
    )
