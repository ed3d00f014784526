"""A large request is divided into jobs, and answered as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest

from app.encoding import encode as jobs
from app.encoding.encode import encode
from app.provider.card import ModelCard
from app.provider.errors import EngineBusy, EngineUnavailable, InputTooLong, ProviderError
from app.provider.pool.pool import ModelPool
from app.provider.types import Encode, Encoded, End, Event, Started, TextPart, Usage

CARD = ModelCard("m", "echo", "echo", Path("none"), 0, 512, tasks=("embedding",))
LARGE = 2 * jobs.MOST_ITEMS + 3


class Pool:
    """Answers each text with itself, backwards; refuses jobs as it is told to."""

    def __init__(self, *refusals: ProviderError | None) -> None:
        self.refusals = list(refusals)
        self.jobs: list[list[str]] = []
        self.running = 0
        self.most_running = 0

    async def encode(self, _: ModelCard, job: Encode) -> AsyncGenerator[Event, None]:
        texts = [part.text for part in job.items if isinstance(part, TextPart)]
        if refusal := self.refusals.pop(0) if self.refusals else None:
            raise refusal
        self.jobs.append(texts)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            yield Started(0, 0)
            for index in reversed(range(len(texts))):
                await asyncio.sleep(0)
                yield Encoded(index, texts[index].encode(), 1)
            yield End("stop", Usage(len(texts), 0, 0))
        finally:
            self.running -= 1


def asked(count: int, length: int = 1) -> Encode:
    return Encode(tuple(TextPart(f"{index:0{length}}") for index in range(count)))


async def answered(pool: Pool, job: Encode) -> jobs.Encodings:
    return await encode(cast("ModelPool", pool), CARD, job)


async def test_the_answer_is_whole_and_in_order() -> None:
    pool = Pool()
    found = await answered(pool, asked(LARGE))
    assert found.vectors == [str(index).encode() for index in range(LARGE)]
    assert found.tokens == LARGE
    assert [len(texts) for texts in pool.jobs] == [jobs.MOST_ITEMS, jobs.MOST_ITEMS, 3]
    assert pool.most_running == jobs.AT_ONCE


async def test_long_texts_make_small_jobs() -> None:
    pool = Pool()
    await answered(pool, asked(5, jobs.MOST_BYTES // 2))
    assert [len(texts) for texts in pool.jobs] == [2, 2, 1]
    pool = Pool()
    await answered(pool, asked(2, 2 * jobs.MOST_BYTES))
    assert [len(texts) for texts in pool.jobs] == [1, 1]


async def test_errors_name_the_place_in_the_request() -> None:
    pool = Pool(None, InputTooLong(3, 600, 512))
    with pytest.raises(InputTooLong) as caught:
        await answered(pool, asked(LARGE))
    assert caught.value.index == jobs.MOST_ITEMS + 3
    assert pool.running == 0


async def test_only_the_first_job_is_refused_by_a_busy_model() -> None:
    busy = EngineBusy("full", 0.001)
    with pytest.raises(EngineBusy):
        await answered(Pool(busy), asked(LARGE))
    pool = Pool(None, busy, busy, busy)
    assert len((await answered(pool, asked(LARGE))).vectors) == LARGE
    assert not pool.refusals


class Broken(Pool):
    """Says that it is done too early."""

    async def encode(self, _: ModelCard, job: Encode) -> AsyncGenerator[Event, None]:
        yield Encoded(0, b"....", 1)
        yield End("stop", Usage(1, 0, 0))


async def test_what_is_missing_is_not_made_up() -> None:
    with pytest.raises(EngineUnavailable):
        await answered(Broken(), asked(2))
