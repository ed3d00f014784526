"""What a long prompt that comes in and a stream that runs do to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from statistics import median

from bench.contestants.client import Client, Reply
from bench.contestants.servers import BEFORE, LLAMA_SERVER, OURS
from bench.inputs.prompts import Messages, ask
from bench.models.chat_model import ChatModel
from bench.plan import Plan
from bench.report.samples import Sample

QUESTION = 8
ANSWER = 2
"""Of the long prompt."""
SETTLED = 40
"""Pieces of text that the stream has sent when the other request comes."""
AFTER = 10
"""Pieces that it still sends afterwards."""
ENDLESS = 4000
RUNNING = ask("running", QUESTION)


def run(plan: Plan) -> Iterator[Sample]:
    """A stream alone, then with the prompt of another request in between."""
    for model in plan.chat_models():
        for number in range(plan.scale.rounds):
            for server in plan.rivals(OURS, BEFORE, LLAMA_SERVER):
                with server.serving(model.path, plan.threads) as client:
                    figures = asyncio.run(_measure(client, model, plan.scale.long_prompt))
                    for figure, value in figures.items():
                        yield Sample(model.figure(figure), server.name, number, value)


async def _measure(client: Client, model: ChatModel, size: int) -> dict[str, float]:
    await client.ask(model.ask("warm", QUESTION), 4)
    alone = await client.ask(model.ask("alone", size), ANSWER)
    meanwhile, running = model.ask("meanwhile", size), model.ask("running", QUESTION)
    stream, long = await together(client, lambda: client.ask(meanwhile, ANSWER), running)
    before, worst = gaps(stream, long)
    return {
        "gap.median": before * 1000,
        "gap.worst": worst * 1000,
        "gap.ratio": worst / before,
        "gap.own": worst / median(stream.gaps),
        "gap.alone": alone.ttft,
        "gap.long": long.ttft,
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


async def together(
    client: Client,
    intrude: Callable[[], Awaitable[Reply]],
    question: Messages = RUNNING,
) -> tuple[Reply, Reply]:
    """The running stream, and the answer to the request that came while it ran."""
    settled, over = asyncio.Event(), asyncio.Event()
    pieces, after = count(1), count(1)

    def watch(_now: float) -> bool:
        if next(pieces) == SETTLED:
            settled.set()
        return over.is_set() and next(after) == AFTER

    running = asyncio.create_task(client.ask(question, ENDLESS, watch))
    await settled.wait()
    intruder = await intrude()
    over.set()
    return await running, intruder
