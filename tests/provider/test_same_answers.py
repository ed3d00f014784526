"""One question, one answer, whatever format the starter is in."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.provider.engine import missing_library
from app.provider.runtime.status import HostPolicy
from tests.provider.asking import STARTERS, ask, host_of
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


async def answers(engine: str, questions: list[str]) -> list[str]:
    host = host_of(engine, HostPolicy(max_waiting=len(questions)))
    replies = await asyncio.gather(*(ask(host, question) for question in questions))
    await host.stop()
    return [reply.text for reply in replies]


@cache
def answers_of_gguf(every: int) -> list[str]:
    return asyncio.run(answers("gguf", QUESTIONS[::every]))


@pytest.mark.parametrize("every", [9, *matrix(1)])
@pytest.mark.parametrize("engine", [one for one in OTHERS if one != "mlx"] + matrix("mlx"))
def test_every_engine_answers_like_the_gguf(engine: str, every: int) -> None:
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    assert len(QUESTIONS) >= 40
    asked = QUESTIONS[::every]
    given = asyncio.run(answers(engine, asked))
    assert dict(zip(asked, given, strict=True)) == dict(
        zip(asked, answers_of_gguf(every), strict=True)
    )
