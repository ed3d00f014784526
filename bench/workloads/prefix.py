"""How soon each of eight new conversations with one long system prompt begins to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median

from bench.contestants.client import Client
from bench.contestants.servers import LLAMA_SERVER, OURS
from bench.inputs.prompts import Messages, ask, words
from bench.plan import Plan
from bench.report.samples import Sample

CONVERSATIONS = 8
QUESTION = 8
ANSWER = 8


def run(plan: Plan) -> Iterator[Sample]:
    """One after the other; then with another prompt, the second to eighth all at once."""
    for number in range(plan.scale.rounds):
        for server in plan.rivals(OURS, LLAMA_SERVER):
            with server.serving(plan.shape, plan.threads) as client:
                for figure, value in asyncio.run(_measure(client, plan.scale.system)).items():
                    yield Sample(figure, server.name, number, value)


async def _measure(client: Client, size: int) -> dict[str, float]:
    await client.ask(ask("warm", QUESTION), 4)
    first, *others = [
        (await client.ask(one, ANSWER)).ttft for one in _conversations("in turn", size)
    ]
    opening, *rest = _conversations("at once", size)
    alone = (await client.ask(opening, ANSWER)).ttft
    together = await asyncio.gather(*(client.ask(one, ANSWER) for one in rest))
    return {
        "prefix.first": first * 1000,
        "prefix.next": median(others) * 1000,
        "prefix.ratio": median(others) / first,
        "prefix.worst": max(others) / first,
        "prefix.together": median(reply.ttft for reply in together) / alone,
    }


def _conversations(seed: str, size: int) -> list[Messages]:
    system = {"role": "system", "content": words(seed, size)}
    return [[system, *ask(f"{seed} {number}", QUESTION)] for number in range(CONVERSATIONS)]
