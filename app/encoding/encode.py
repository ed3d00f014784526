"""Has items encoded: a large request in jobs of a bounded size, answered as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from msgspec.structs import replace

from app.provider.card import ModelCard
from app.provider.encoding.item_length import Item, item_length
from app.provider.errors import EngineBusy, EngineUnavailable, InputTooLong
from app.provider.pool.pool import ModelPool
from app.provider.runtime.tasks import cancel_tasks
from app.provider.types import (
    Encode,
    Encoded,
    End,
    Event,
)

MOST_ITEMS = 256
"""Of one job."""
MOST_BYTES = 2**20
"""Of the items of one job, about; a single item may be larger."""
AT_ONCE = 2
"""Jobs of one request: while one is computed the next one waits, so the model stays loaded."""
LONGEST_PAUSE = 1.0
"""Seconds before a job whose request has begun is offered again to a model that is busy."""


@dataclass(frozen=True, slots=True)
class Encodings:
    """What items became, in their order, and tokens computed.

    Vectors are little-endian float32 numbers, a score is one float64 number.
    """

    vectors: list[bytes]
    tokens: int


async def encode(pool: ModelPool, card: ModelCard, job: Encode) -> Encodings:
    """Encode all items; raises what ``ModelPool.encode`` raises.

    Only the first job of a large request may find the model too busy: the others wait.
    """
    starts = [*_starts(job.items)]
    if len(starts) < 2:
        return await _collect(pool.encode(card, job), len(job.items))
    ends = [*starts[1:], len(job.items)]
    turn = asyncio.Semaphore(AT_ONCE)

    async def part(start: int, end: int) -> Encodings:
        async with turn:
            return await _patiently(pool, card, job, start, end)

    tasks = [asyncio.create_task(part(*span)) for span in zip(starts, ends, strict=True)]
    try:
        return _joined(await asyncio.gather(*tasks))
    finally:
        await cancel_tasks(*tasks)


def _starts(items: Sequence[Item]) -> Iterator[int]:
    """Where each job begins."""
    began, held = 0, 0
    for at, item in enumerate(items):
        size = item_length(item)
        if at == 0 or at - began == MOST_ITEMS or held + size > MOST_BYTES:
            yield at
            began, held = at, 0
        held += size


async def _patiently(
    pool: ModelPool, card: ModelCard, job: Encode, start: int, end: int
) -> Encodings:
    """One job of several; errors name the items by their places in the request."""
    some = replace(job, items=job.items[start:end])
    while True:
        try:
            return await _collect(pool.encode(card, some), end - start)
        except InputTooLong as error:
            raise InputTooLong(start + error.index, error.needed, error.limit) from error
        except EngineBusy as error:
            if start == 0:
                raise
            pause = min(error.retry_after, LONGEST_PAUSE)
        await asyncio.sleep(pause)


async def _collect(events: AsyncGenerator[Event, None], count: int) -> Encodings:
    """Read a stream to its end."""
    vectors = dict[int, bytes]()
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Encoded):
                vectors[event.index] = event.vector
            elif isinstance(event, End):
                break
        else:
            raise EngineUnavailable("The answer broke off.", 1.0)
    if vectors.keys() != set(range(count)):
        raise EngineUnavailable("The model did not encode all inputs.", 1.0)
    return Encodings([vectors[index] for index in range(count)], event.usage.prompt_tokens)


def _joined(parts: Sequence[Encodings]) -> Encodings:
    vectors = [vector for part in parts for vector in part.vectors]
    return Encodings(vectors, sum(part.tokens for part in parts))
