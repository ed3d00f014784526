"""Several API processes that share the models, beside one process that owns them.

What several processes cost beside the least that they can cost: a bare relay in the place of the
model server, driven in the same rounds (``baselines/relay.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace

from bench.contestants import process
from bench.contestants.client import Client
from bench.contestants.process import ROOT
from bench.contestants.servers import ONE_PROCESS, OURS, RELAY, Server
from bench.inputs.prompts import Messages
from bench.models.chat_model import ChatModel
from bench.plan import Plan
from bench.report.samples import Sample
from bench.workloads.echo import alone, crowd, serving
from bench.workloads.streams import QUESTION, rate

PROCESSES = 4
SETTLE_SECONDS = 2.0
"""Clients ask for so long before anything is counted, so that all processes are there."""


def run(plan: Plan) -> Iterator[Sample]:
    """Requests to the echo engine, then answers of a real model."""
    for number in range(plan.scale.rounds):
        yield from _echo(plan, number)
        for model in plan.chat_models()[-1:]:
            for name, server in _servers(plan, turned=bool(number % 2)):
                for value in _real(server, model, plan):
                    yield Sample("workers.model", name, number, value)


def _echo(plan: Plan, number: int) -> Iterator[Sample]:
    rates: dict[tuple[str, int], float] = {}
    times: dict[int, float] = {}
    for processes in (1, PROCESSES):
        with serving(ROOT, plan.cache, WORKERS=str(processes)) as port:
            rates[OURS, processes] = _settled(port, plan.scale.echo_seconds)
            times[processes] = alone(port, plan.scale.echo_requests)
        with relayed(processes) as port:
            rates[RELAY, processes] = _settled(port, plan.scale.echo_seconds)
    yield Sample("workers.rate", OURS, number, rates[OURS, PROCESSES])
    yield Sample("workers.rate", ONE_PROCESS, number, rates[OURS, 1])
    yield Sample("workers.p50", OURS, number, times[PROCESSES])
    yield Sample("workers.p50", ONE_PROCESS, number, times[1])
    yield Sample("workers.p50.more", OURS, number, times[PROCESSES] - times[1])
    for name in (OURS, RELAY):
        yield Sample("workers.ratio", name, number, rates[name, PROCESSES] / rates[name, 1])


def _settled(port: int, seconds: float) -> float:
    """Requests per second of 32 clients."""
    crowd(port, SETTLE_SECONDS)
    return crowd(port, seconds)


@contextlib.contextmanager
def relayed(processes: int) -> Iterator[int]:
    """Port of the bare relay, or of one process without it."""
    port = process.free_port()
    command = [sys.executable, "-m", "bench.baselines.relay", str(port), str(processes)]
    with process.running(command, {}, port, "/health"):
        yield port


def _servers(plan: Plan, *, turned: bool) -> Iterator[tuple[str, Server]]:
    """One process and several; every second round the other way round."""
    server = plan.servers[OURS]
    for name, processes in ((ONE_PROCESS, 1), (OURS, PROCESSES))[:: -1 if turned else 1]:
        workers = {"WORKERS": str(processes)}
        yield name, replace(server, env=lambda *asked, more=workers: server.env(*asked) | more)


def _real(server: Server, model: ChatModel, plan: Plan) -> list[float]:
    """Tokens per second of eight answers at a time, twice."""
    questions = [model.ask(f"group {lane}", QUESTION) for lane in range(8)]
    with server.serving(model.path, plan.threads) as client:
        return asyncio.run(_rates(client, model, questions, plan.scale.answer))


async def _rates(
    client: Client, model: ChatModel, questions: list[Messages], answer: int
) -> list[float]:
    await client.ask(model.ask("warm", QUESTION), 4)
    return [await rate(client, questions, answer) for _ in range(2)]
