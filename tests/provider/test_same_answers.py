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

ANSWERS = Path(__file__).parents[2] / "training" / "starter" / "answers"
OTHERS = sorted(STARTERS.keys() - {"echo", "gguf"})


def held_out() -> Iterator[str]:
    """A question of each intent in both languages; the starter was trained on none of them."""
    for file in sorted(ANSWERS.glob("*.toml")):
        for intent in tomllib.loads(file.read_text(encoding="utf-8")).values():
            for language in ("en", "ko"):
                yield intent[language]["held"][0]


QUESTIONS = list(held_out())[::3]


async def answers(engine: str) -> list[str]:
    host = host_of(engine, HostPolicy(max_waiting=len(QUESTIONS)))
    replies = await asyncio.gather(*(ask(host, question) for question in QUESTIONS))
    await host.stop()
    return [reply.text for reply in replies]


@cache
def answers_of_gguf() -> list[str]:
    return asyncio.run(answers("gguf"))


@pytest.mark.parametrize("engine", OTHERS)
def test_every_engine_answers_like_the_gguf(engine: str) -> None:
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    assert len(QUESTIONS) >= 40
    given = asyncio.run(answers(engine))
    assert dict(zip(QUESTIONS, given, strict=True)) == dict(
        zip(QUESTIONS, answers_of_gguf(), strict=True)
    )
