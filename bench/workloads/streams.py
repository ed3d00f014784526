"""Decoding: tokens per second from the first request sent to the last answer's end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator

from bench.baselines.driver import driven
from bench.contestants.client import Client
from bench.contestants.servers import (
    BEFORE,
    DEFAULTS,
    LLAMA_SERVER,
    OURS,
    PACKAGED,
    RAW,
    RAW_STREAMS,
    SLOTS,
)
from bench.inputs.prompts import Messages, chatml
from bench.models.chat_model import ChatModel
from bench.plan import Plan, Scale
from bench.report.samples import Sample

LOOPS: dict[str, tuple[str, ...]] = {RAW: (), RAW_STREAMS: ("--kv-streams",)}
"""The two ways of the raw loop, with their options."""
QUESTION = 8
STARTER_ANSWER = 96
STARTER_PASSES = (1, 1, SLOTS, SLOTS, SLOTS)
"""Clients that ask all questions, one pass after the other."""
OPENING_ANSWER = 4
WITH_IDLE = {OURS, BEFORE, LLAMA_SERVER}
"""Those that are also measured beside idle conversations."""
TOPICS = (
    "streaming", "the API versions", "adding a model", "using a GPU", "the documentation",
    "Open WebUI", "stopping a generation", "the settings", "API keys", "health checks",
    "conversations", "prompt templates", "images", "what you are", "what you cannot do", "errors",
)  # fmt: skip
FORMS = ("Tell me about {}.", "How do I use {}?", "What about {}, please?", "Explain {} to me.")


def generated(plan: Plan) -> Iterator[Sample]:
    """One stream and eight streams, and eight beside eight idle conversations."""
    for model in plan.chat_models():
        for number in range(plan.scale.rounds):
            for loop in LOOPS:
                for figure, value in _looped(plan, model, loop):
                    yield Sample(model.figure(figure), loop, number, value)
            for server in plan.rivals(OURS, BEFORE, DEFAULTS, LLAMA_SERVER, PACKAGED):
                with server.serving(model.path, plan.threads) as client:
                    found = asyncio.run(_streams(client, model, plan.scale, server.name))
                    for figure, value in found:
                        yield Sample(model.figure(figure), server.name, number, value)


def starter(plan: Plan) -> Iterator[Sample]:
    """One client and eight ask the starter model, each its next question when one is answered."""
    questions = _questions()
    if not plan.starter.exists():
        return
    for number in range(plan.scale.rounds):
        for loop, options in LOOPS.items():
            with driven("llama_cpp", plan.starter, plan.threads, *options) as measure:
                texts = [chatml(one) for one in questions]
                measure(texts[:1], STARTER_ANSWER)
                for clients in STARTER_PASSES:
                    tokens, seconds = measure(texts, STARTER_ANSWER, clients)
                    yield Sample(f"starter.{clients}", loop, number, tokens / seconds)
        for server in plan.rivals(OURS, BEFORE, LLAMA_SERVER, PACKAGED):
            with server.serving(plan.starter, plan.threads) as client:
                for clients, value in asyncio.run(_passes(client, questions)):
                    yield Sample(f"starter.{clients}", server.name, number, value)


def _looped(plan: Plan, model: ChatModel, loop: str) -> Iterator[tuple[str, float]]:
    with driven("llama_cpp", model.path, plan.threads, *LOOPS[loop]) as measure:
        measure([model.prompt(model.ask("warm", QUESTION))], 4)
        for figure, group in _groups(model):
            texts = [model.prompt(one) for one in group]
            tokens, seconds = measure(texts, plan.scale.answer)
            yield figure, tokens / seconds


def _groups(model: ChatModel) -> list[tuple[str, list[Messages]]]:
    """One client twice, so that one stutter of the machine shows; then eight."""
    singles = [("streams.1", [model.ask(f"single {number}", QUESTION)]) for number in range(2)]
    eight = [model.ask(f"group {lane}", QUESTION) for lane in range(SLOTS)]
    return [*singles, ("streams.8", eight)]


async def _streams(
    client: Client, model: ChatModel, scale: Scale, server: str
) -> list[tuple[str, float]]:
    await client.ask(model.ask("warm", QUESTION), 4)
    found = [(figure, await rate(client, group, scale.answer)) for figure, group in _groups(model)]
    if server in WITH_IDLE:
        resumed = await _opened(client, model, scale.opening)
        found.append(("streams.8.idle", await rate(client, resumed, scale.answer)))
    return found


async def _opened(client: Client, model: ChatModel, size: int) -> list[Messages]:
    """Begin sixteen conversations; every second one with its next question, the others idle."""
    opened = []
    for number in range(2 * SLOTS):
        messages = model.ask(f"open {number}", size)
        reply = await client.ask(messages, OPENING_ANSWER)
        question = model.ask(f"go on {number}", QUESTION)
        opened.append([*messages, {"role": "assistant", "content": reply.text}, *question])
    return opened[::2]


async def _passes(client: Client, questions: list[Messages]) -> list[tuple[int, float]]:
    await client.ask(questions[0], STARTER_ANSWER)
    return [
        (clients, await rate(client, questions, STARTER_ANSWER, clients))
        for clients in STARTER_PASSES
    ]


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
