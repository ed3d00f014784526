"""How soon each of eight new conversations with one long system prompt begins to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median

from bench.contestants.client import Client
from bench.contestants.servers import BEFORE, LLAMA_SERVER, OURS
from bench.inputs.prompts import Messages
from bench.models.chat_model import ChatModel
from bench.plan import Plan
from bench.report.samples import Sample

CONVERSATIONS = 8
QUESTION = 8
ANSWER = 4


def run(plan: Plan) -> Iterator[Sample]:
    """One after the other; then with another prompt, the second to eighth all at once."""
    for model in plan.chat_models():
        for number in range(plan.scale.rounds):
            for server in plan.rivals(OURS, BEFORE, LLAMA_SERVER):
                with server.serving(model.path, plan.threads) as client:
                    figures = asyncio.run(_measure(client, model, plan.scale.system))
                    for figure, value in figures.items():
                        yield Sample(model.figure(figure), server.name, number, value)


async def _measure(client: Client, model: ChatModel, size: int) -> dict[str, float]:
    await client.ask(model.ask("warm", QUESTION), 4)
    first, *others = [
        (await client.ask(one, ANSWER)).ttft for one in _conversations(model, "in turn", size)
    ]
    opening, *rest = _conversations(model, "at once", size)
    alone = (await client.ask(opening, ANSWER)).ttft
    together = await asyncio.gather(*(client.ask(one, ANSWER) for one in rest))
    return {
        "prefix.first": first * 1000,
        "prefix.next": median(others) * 1000,
        "prefix.ratio": median(others) / first,
        "prefix.worst": max(others) / first,
        "prefix.together": median(reply.ttft for reply in together) / alone,
    }


def _conversations(model: ChatModel, seed: str, size: int) -> list[Messages]:
    system = {"role": "system", "content": model.text(seed, size)}
    return [[system, *model.ask(f"{seed} {number}", QUESTION)] for number in range(CONVERSATIONS)]
