"""Several answers in one: to one prompt, or to each of several, made side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from msgspec.structs import replace

from app.chat.answer import stream_answer
from app.chat.completion import Completion, collect
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool
from app.provider.runtime.tasks import cancel_tasks
from app.provider.types import AnyDelta, End, Event, Progress, Prompt, Started, Usage

AT_ONCE = 8
"""Answers of one request that are asked for at the same time; the others follow as these end."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An event of the answer number ``index``: a piece of it, or its own end."""

    index: int
    event: AnyDelta | End


@dataclass(frozen=True, slots=True)
class Asked:
    """Prompts for one model, each of which gets ``n`` answers.

    The answers to a prompt come one after the other: ``n`` times its place, and on.
    """

    model: ModelCard
    prompts: tuple[Prompt, ...]
    n: int = 1

    def jobs(self) -> list[Prompt]:
        """A prompt for each answer; those of one prompt are drawn with different seeds."""
        return [_seeded(prompt, at) for prompt in self.prompts for at in range(self.n)]


def _seeded(prompt: Prompt, at: int) -> Prompt:
    if at == 0 or prompt.sampling.seed is None:
        return prompt
    seed = (prompt.sampling.seed + at) % 2**32
    return replace(prompt, sampling=replace(prompt.sampling, seed=seed))


def total_usage(usages: Sequence[Usage], n: int) -> Usage:
    """The tokens of all answers; a prompt with ``n`` of them counts once."""
    first = usages[::n]
    return Usage(
        sum(usage.prompt_tokens for usage in first),
        sum(usage.completion_tokens for usage in usages),
        sum(usage.cached_tokens for usage in first),
        all(usage.cached_known for usage in first),
    )


async def collect_choices(pool: ModelPool, asked: Asked) -> list[Completion]:
    """All answers, as whole ones; raises what ``stream_answer`` raises."""
    jobs = asked.jobs()
    if len(jobs) == 1:
        return [await collect(stream_answer(pool, asked.model, jobs[0]))]
    turn = asyncio.Semaphore(AT_ONCE)

    async def answer(prompt: Prompt) -> Completion:
        async with turn:
            return await collect(stream_answer(pool, asked.model, prompt))

    tasks = [asyncio.create_task(answer(prompt)) for prompt in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancel_tasks(*tasks)


async def stream_choices(pool: ModelPool, asked: Asked) -> AsyncGenerator[Event | Choice, None]:
    """``Progress* Started Choice* End``; raises what ``stream_answer`` raises.

    Each answer's own end is a ``Choice``. The last event has the usage of all of them.
    """
    jobs = asked.jobs()
    async with aclosing(
        _only(pool, asked, jobs) if len(jobs) == 1 else _all(pool, asked, jobs)
    ) as (events):
        ends: dict[int, End] = {}
        async for event in events:
            yield event
            if isinstance(event, Choice) and isinstance(event.event, End):
                ends[event.index] = event.event
    usages = [ends[index].usage for index in range(len(jobs))]
    yield End(ends[0].reason, total_usage(usages, asked.n))


Choices = AsyncGenerator[Progress | Started | Choice, None]


async def _only(pool: ModelPool, asked: Asked, jobs: Sequence[Prompt]) -> Choices:
    async with aclosing(stream_answer(pool, asked.model, jobs[0])) as events:
        async for event in events:
            yield event if isinstance(event, Progress | Started) else _choice(0, event)


async def _all(pool: ModelPool, asked: Asked, jobs: Sequence[Prompt]) -> Choices:
    """What waits and begins is shown of the first that does."""
    arrived: asyncio.Queue[tuple[int, Event | Exception]] = asyncio.Queue()
    turn = asyncio.Semaphore(AT_ONCE)

    async def read(index: int, prompt: Prompt) -> None:
        try:
            async with turn, aclosing(stream_answer(pool, asked.model, prompt)) as events:
                async for event in events:
                    arrived.put_nowait((index, event))
        except Exception as error:  # whoever reads the queue raises it
            arrived.put_nowait((index, error))

    tasks = [asyncio.create_task(read(*job)) for job in enumerate(jobs)]
    running, started = len(jobs), False
    try:
        while running:
            index, event = await arrived.get()
            if isinstance(event, Exception):
                raise event
            if not isinstance(event, Progress | Started):
                running -= isinstance(event, End)
                yield _choice(index, event)
            elif not started:
                started = isinstance(event, Started)
                yield event
    finally:
        await cancel_tasks(*tasks)


def _choice(index: int, event: Event) -> Choice:
    if isinstance(event, AnyDelta | End):
        return Choice(index, event)
    raise TypeError(f"an answer has no {type(event).__name__}")
