"""Each engine over HTTP beside the same library driven directly, and beside its own server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.baselines.driver import driven
from bench.contestants.servers import (
    GENERATOR,
    LLAMA_SERVER,
    MLX_LOOP,
    MLX_SERVER,
    OURS,
    SLOTS,
    Server,
)
from bench.inputs.prompts import Messages, ask, chatml
from bench.models import catalogue
from bench.plan import Plan
from bench.report.samples import Sample
from bench.workloads.streams import FORMS, LOOPS, STARTER_ANSWER, TOPICS, rate

QUESTION = 4
WARM_UP = 2

Rated = Callable[[list[Messages], int, int], float]
"""Questions, most tokens of an answer, clients → tokens per second."""


@dataclass(frozen=True)
class Rivals:
    """Who else runs an engine's models: loops of the library in this package, and a server.

    ``loops`` have the options of the module that runs them. ``slower`` divides the sizes, so that
    a slow library does not take most of the time.
    """

    loops: dict[str, tuple[str, ...]]
    module: str
    server: str = ""
    slower: int = 1


RIVALS = {
    "gguf": Rivals(LOOPS, "llama_cpp", LLAMA_SERVER),
    "onnx": Rivals({GENERATOR: ()}, "onnx"),
    "mlx": Rivals({MLX_LOOP: ()}, "mlx", MLX_SERVER, slower=8),
}


@dataclass(frozen=True)
class Trial:
    """One model of one engine: by how many clients it is asked what, and the longest answer."""

    name: str
    model: Path
    rivals: Rivals
    questions: dict[int, list[Messages]]
    answer: int


def run(plan: Plan) -> Iterator[Sample]:
    """One client and eight; every round starts every contestant anew."""
    for trial in _trials(plan):
        for number in range(plan.scale.rounds):
            for who, contestant in _contestants(trial, plan):
                with contestant as rated:
                    rated(_generated("warm", WARM_UP), WARM_UP, 1)
                    for clients, questions in trial.questions.items():
                        figure = f"engines.{trial.name}.{clients}"
                        value = rated(questions, trial.answer, clients)
                        yield Sample(figure, who, number, value)


def _trials(plan: Plan) -> Iterator[Trial]:
    for engine, rivals in RIVALS.items():
        if starter := catalogue.starter(engine):
            count = plan.scale.engine_questions // rivals.slower
            asked = {1: talk(1, count), SLOTS: talk(SLOTS, 2 * count)}
            yield Trial(f"{engine}.starter", starter, rivals, asked, STARTER_ANSWER)
        if shape := catalogue.shape(engine, plan.cache):
            generated = {1: _generated("one", 1), SLOTS: _generated("of eight", SLOTS)}
            answer = 2 * plan.scale.answer // (1 + rivals.slower)
            yield Trial(f"{engine}.shape", shape, rivals, generated, answer)


def _contestants(trial: Trial, plan: Plan) -> Iterator[tuple[str, AbstractContextManager[Rated]]]:
    rivals = trial.rivals
    for server in plan.rivals(OURS, rivals.server):
        yield server.name, _served(server, trial.model, plan.threads)
        if server.name == OURS:
            for loop, options in rivals.loops.items():
                yield loop, _looped(rivals.module, trial.model, plan.threads, *options)


@contextlib.contextmanager
def _served(server: Server, model: Path, threads: int) -> Iterator[Rated]:
    with server.serving(model, threads) as client:
        yield lambda questions, answer, clients: asyncio.run(
            rate(client, questions, answer, clients)
        )


@contextlib.contextmanager
def _looped(module: str, model: Path, threads: int, *options: str) -> Iterator[Rated]:
    with driven(module, model, threads, *options) as measure:

        def rated(questions: list[Messages], answer: int, clients: int) -> float:
            texts = [chatml(one) for one in questions]
            tokens, seconds = measure(texts, answer, clients)
            return tokens / seconds

        yield rated


def _generated(seed: str, count: int) -> list[Messages]:
    return [ask(f"{seed} {number}", QUESTION) for number in range(count)]


def talk(seed: int, count: int) -> list[Messages]:
    """Questions to the starter model; a number in front, so that no two have a beginning."""
    texts = [form.format(topic) for form in FORMS for topic in TOPICS]
    asked = [f"{number}{seed}: {texts[number % len(texts)]}" for number in range(count)]
    return [[{"role": "user", "content": text}] for text in asked]
