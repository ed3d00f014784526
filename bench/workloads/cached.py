"""First token of a prompt that a server has just answered: asked again at once, and after silence.

Silence matters because a server may look at its files, or have put a conversation away. All
servers run at the same time, so that they are silent together; only one is asked at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from bench.contestants.client import Client
from bench.contestants.servers import BEFORE, LLAMA_SERVER, OURS
from bench.inputs.prompts import Messages
from bench.inputs.texts import FREQUENT
from bench.models.chat_model import ChatModel
from bench.plan import Plan, Scale
from bench.report.samples import Sample

ANSWER = 4
SILENCE = 4.0
BREATH = 0.2
"""Seconds for a server to put a conversation away before the next one is asked."""


@dataclass(frozen=True)
class Contestant:
    """A running server with a model, and the prompt that it is asked again and again."""

    server: str
    model: ChatModel
    client: Client
    prompt: Messages

    async def first_token(self) -> float:
        """Milliseconds."""
        return (await self.client.ask(self.prompt, ANSWER)).ttft * 1000


def run(plan: Plan) -> Iterator[Sample]:
    """Each model on each server; medians of ten requests."""
    for number in range(plan.scale.rounds):
        with ExitStack() as stack:
            contestants = list(_started(plan, stack))
            for one, figure, value in asyncio.run(_measure(contestants, plan.scale)):
                yield Sample(one.model.figure(figure), one.server, number, value)


def _started(plan: Plan, stack: ExitStack) -> Iterator[Contestant]:
    words = tuple(FREQUENT.split())
    starter = [ChatModel(plan.starter, words, "starter.")] if plan.starter.exists() else []
    for model in (*plan.chat_models(), *starter):
        prompt = model.ask("cached", plan.scale.cached_prompt)
        for server in plan.rivals(OURS, BEFORE, LLAMA_SERVER):
            client = stack.enter_context(server.serving(model.path, plan.threads))
            yield Contestant(server.name, model, client, prompt)


async def _measure(
    contestants: list[Contestant], scale: Scale
) -> list[tuple[Contestant, str, float]]:
    found = []
    for one in contestants:
        await one.first_token()
        again = [await one.first_token() for _ in range(scale.repeats)]
        found.append((one, "cached.0", median(again)))
    circles = [await _after_silence(contestants) for _ in range(scale.repeats)]
    for one, times in zip(contestants, zip(*circles, strict=True), strict=True):
        found.append((one, "cached.4", median(times)))
    return found


async def _after_silence(contestants: list[Contestant]) -> list[float]:
    """Ask everyone once, each ``SILENCE`` seconds after its last turn."""
    await asyncio.sleep(SILENCE - BREATH * (len(contestants) - 1))
    times = []
    for one in contestants:
        started = perf_counter()
        times.append(await one.first_token())
        await asyncio.sleep(max(0.0, BREATH - (perf_counter() - started)))
    return times
