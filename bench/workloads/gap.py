"""What a long prompt that comes in and a stream that runs do to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from statistics import median

from bench.contestants.client import Client, Reply
from bench.contestants.servers import LLAMA_SERVER, OURS
from bench.inputs.prompts import ask
from bench.plan import Plan
from bench.report.samples import Sample

QUESTION = 8
SETTLED = 40
"""Pieces of text that the stream has sent when the other request comes."""
AFTER = 10
"""Pieces that it still sends afterwards."""
ENDLESS = 4000


def run(plan: Plan) -> Iterator[Sample]:
    """One round: it holds hundreds of gaps."""
    for server in plan.rivals(OURS, LLAMA_SERVER):
        with server.serving(plan.shape, plan.threads) as client:
            for figure, value in asyncio.run(_measure(client, plan.scale.long_prompt)).items():
                yield Sample(figure, server.name, 0, value)


async def _measure(client: Client, size: int) -> dict[str, float]:
    await client.ask(ask("warm", QUESTION), 4)
    alone = await client.ask(ask("alone", size), 1)
    stream, long = await together(client, lambda: client.ask(ask("meanwhile", size), 1))
    before, worst = gaps(stream, long)
    return {
        "gap.median": before * 1000,
        "gap.worst": worst * 1000,
        "gap.ratio": worst / before,
        "gap.own": worst / median(stream.gaps),
        "gap.alone": alone.ttft,
        "gap.prefill": long.ttft / alone.ttft,
    }


def gaps(stream: Reply, intruder: Reply) -> tuple[float, float]:
    """Seconds: the median gap of a stream before another request, and the worst until it began."""
    arrived = [one for one in stream.times if one < intruder.sent]
    before = Reply(0, 0, tuple(arrived), "", 0, None)
    during = [
        later - earlier
        for earlier, later in zip(stream.times, stream.times[1:], strict=False)
        if later > intruder.sent and earlier < intruder.times[0]
    ]
    return median(before.gaps), max(during)


async def together(client: Client, intrude: Callable[[], Awaitable[Reply]]) -> tuple[Reply, Reply]:
    """The running stream, and the answer to the request that came while it ran."""
    settled, over = asyncio.Event(), asyncio.Event()
    pieces, after = count(1), count(1)

    def watch(_now: float) -> bool:
        if next(pieces) == SETTLED:
            settled.set()
        return over.is_set() and next(after) == AFTER

    running = asyncio.create_task(client.ask(ask("running", QUESTION), ENDLESS, watch))
    await settled.wait()
    intruder = await intrude()
    over.set()
    return await running, intruder
