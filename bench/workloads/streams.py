"""Decoding: tokens per second from the first request sent to the last answer's end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator

from bench.baselines.driver import driven
from bench.contestants.client import Client
from bench.contestants.servers import LLAMA_SERVER, OURS, PACKAGED, RAW, SLOTS
from bench.inputs.prompts import Messages, ask, chatml
from bench.plan import Plan
from bench.report.samples import Sample

QUESTION = 8
STARTER_ANSWER = 96
STARTER_PASSES = 3
TOPICS = (
    "streaming", "the API versions", "adding a model", "using a GPU", "the documentation",
    "Open WebUI", "stopping a generation", "the settings", "API keys", "health checks",
    "conversations", "prompt templates", "images", "what you are", "what you cannot do", "errors",
)  # fmt: skip
FORMS = ("Tell me about {}.", "How do I use {}?", "What about {}, please?", "Explain {} to me.")


def generated(plan: Plan) -> Iterator[Sample]:
    """One stream and eight streams on the generated model."""
    for number in range(plan.scale.rounds):
        for figure, value in _raw(plan):
            yield Sample(figure, RAW, number, value)
        for server in plan.rivals(OURS, LLAMA_SERVER, PACKAGED):
            with server.serving(plan.shape, plan.threads) as client:
                for figure, value in asyncio.run(_streams(client, plan.scale.answer)):
                    yield Sample(figure, server.name, number, value)


def starter(plan: Plan) -> Iterator[Sample]:
    """Eight clients ask the starter model, each its next question when one is answered."""
    questions = _questions()
    if not plan.starter.exists():
        return
    for number in range(plan.scale.rounds):
        with driven("llama_cpp", plan.starter, plan.threads) as measure:
            measure([chatml(questions[0])], STARTER_ANSWER)
            for _ in range(STARTER_PASSES):
                tokens, seconds = measure([chatml(one) for one in questions], STARTER_ANSWER)
                yield Sample("starter.8", RAW, number, tokens / seconds)
        for server in plan.rivals(OURS, LLAMA_SERVER, PACKAGED):
            with server.serving(plan.starter, plan.threads) as client:
                for rate in asyncio.run(_passes(client, questions)):
                    yield Sample("starter.8", server.name, number, rate)


def _raw(plan: Plan) -> list[tuple[str, float]]:
    with driven("llama_cpp", plan.shape, plan.threads) as measure:
        measure([chatml(ask("warm", QUESTION))], 4)
        return [
            (figure, tokens / seconds)
            for figure, group in _groups()
            for tokens, seconds in [measure([chatml(one) for one in group], plan.scale.answer)]
        ]


def _groups() -> list[tuple[str, list[Messages]]]:
    """Two of each kind, so that one stutter of the machine shows."""
    singles = [("streams.1", [ask(f"single {number}", QUESTION)]) for number in range(2)]
    eights = [
        ("streams.8", [ask(f"group {number} {lane}", QUESTION) for lane in range(SLOTS)])
        for number in range(2)
    ]
    return singles + eights


async def _streams(client: Client, answer: int) -> list[tuple[str, float]]:
    await client.ask(ask("warm", QUESTION), 4)
    return [(figure, await rate(client, group, answer)) for figure, group in _groups()]


async def _passes(client: Client, questions: list[Messages]) -> list[float]:
    await client.ask(questions[0], STARTER_ANSWER)
    return [await rate(client, questions, STARTER_ANSWER) for _ in range(STARTER_PASSES)]


async def rate(
    client: Client, questions: list[Messages], answer: int, clients: int = SLOTS
) -> float:
    """Tokens per second over all questions, by default eight at a time."""
    waiting = deque(questions)
    started = time.perf_counter()
    totals = await asyncio.gather(*(_worker(client, waiting, answer) for _ in range(clients)))
    return sum(totals) / (time.perf_counter() - started)


async def _worker(client: Client, waiting: deque[Messages], answer: int) -> int:
    tokens = 0
    while waiting:
        tokens += (await client.ask(waiting.popleft(), answer)).tokens
    return tokens


def _questions() -> list[Messages]:
    """Questions that differ early, in the tongue of the starter model."""
    texts = [form.format(topic) for form in FORMS for topic in TOPICS]
    return [[{"role": "user", "content": text}] for text in texts]
