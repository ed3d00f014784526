"""The starter answers questions it has never seen, through its engine, as a server would ask it."""

from __future__ import annotations

import asyncio

import pytest

from tests.provider.asking import ask, host_of
from tests.selection import matrix
from training.starter.corpus import LANGUAGES, held_out

pytestmark = pytest.mark.slow

ENOUGH = 0.9


@pytest.mark.parametrize("every", [25, *matrix(1)])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_held_out_questions_get_the_right_answer(language: str, every: int) -> None:
    host = host_of("gguf", threads=1)
    items = [item for item in held_out() if item.language == language][::every]
    line = asyncio.Semaphore(64)

    async def right(question: str, expected: str) -> bool:
        async with line:
            return (await ask(host, question, max_tokens=160)).text == expected

    results = await asyncio.gather(*(right(item.question, item.answer) for item in items))
    await host.stop()
    assert len(items) > 300 / every
    assert sum(results) >= ENOUGH * len(items), f"{sum(results)} of {len(items)}"
