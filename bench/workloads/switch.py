"""Several models on one server: what a switch costs, and whether they keep to their memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import psutil

from bench.contestants import connection, process
from bench.contestants.client import Client
from bench.contestants.servers import OURS, own_command, own_settings, speaking_to
from bench.inputs.prompts import ask
from bench.models import catalogue
from bench.plan import Plan
from bench.report.samples import Sample

QUESTION = 8
ANSWER = 4
CLIENTS = 2
SMALL = {"CONTEXT_LENGTH": "2048", "KV_CACHE_MB": "128", "PREFIX_CACHE_MB": "64"}
"""So that a model is mostly its weights."""
SLACK = 1.01
"""Of the budget over what the two largest are predicted to take."""
LOADS = re.compile(rb"^sllm_model_load_seconds_count\{[^}]*\} (\S+)", re.MULTILINE)
WATCH_SECONDS = 0.1
MEBI = 2**20


def run(plan: Plan) -> Iterator[Sample]:
    """Two models that both stay loaded; then three that do not fit together."""
    with tempfile.TemporaryDirectory(dir=plan.cache) as folder:
        names = _put(Path(folder), plan.cache)
        settings = SMALL | {"MODELS_DIR": folder, "ENGINE_THREADS": str(plan.threads)}
        for number in range(plan.scale.rounds):
            for figure, value in _resident(names[:2], settings, plan.scale.switches):
                yield Sample(figure, OURS, number, value)
        for figure, value in _crowded(names, settings, plan.scale.random_requests):
            yield Sample(figure, OURS, 0, value)


def _put(folder: Path, cache: Path) -> list[str]:
    """Three generated models in a folder; copies where an engine has none. Their ids."""
    found = [(engine, catalogue.shape(engine, cache)) for engine in catalogue.KINDS]
    there = [(engine, path) for engine, path in found if path]
    (folder / "gguf.gguf").symlink_to(there[0][1])
    for engine, path in there[1:]:
        (folder / engine).symlink_to(path)
    names = [engine for engine, _ in there]
    while len(names) < 3:
        names.append(f"gguf-{len(names)}")
        os.link(there[0][1], folder / f"{names[-1]}.gguf")  # other than a link, another model
    return names


# ---------------------------------------------------------------- two that stay


def _resident(
    names: list[str], settings: dict[str, str], count: int
) -> Iterator[tuple[str, float]]:
    with _serving(settings) as (port, _):
        asyncio.run(_first_tokens(port, names * 2, "warm"))
        before = _loads(port)
        stayed = asyncio.run(_first_tokens(port, sorted(names * count), "stay"))
        switched = asyncio.run(_first_tokens(port, names * count, "switch"))
        loads = _loads(port) - before
    for name in names:
        yield "switch.stay", median(stayed[name]) * 1000
        yield "switch.switch", median(switched[name]) * 1000
    ratios = [median(switched[name]) / median(stayed[name]) for name in names]
    yield "switch.ratio", max(ratios)
    yield "switch.loads", loads


async def _first_tokens(port: int, names: list[str], seed: str) -> dict[str, list[float]]:
    """Seconds to the first token, by model, asked one after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number, name in enumerate(names):
        client = Client(port, speaking_to(name))
        reply = await client.ask(ask(f"{seed} {number}", QUESTION), ANSWER)
        seconds[name].append(reply.ttft)
    return seconds


# ---------------------------------------------------------------- three in a budget for two


def _crowded(names: list[str], settings: dict[str, str], count: int) -> Iterator[tuple[str, float]]:
    budget = _budget(names, settings)
    limits = {"MEMORY_BUDGET_MB": str(budget), "LLM_MODEL_CACHE_SIZE": str(len(names))}
    with _serving(settings | limits) as (port, pid), Watch(pid) as watch:
        started = perf_counter()
        asyncio.run(_random_requests(port, names, count))
        seconds, loads = perf_counter() - started, _loads(port)
    yield "switch.budget", budget
    yield "switch.most", watch.most / MEBI
    yield "switch.used", watch.most / MEBI / budget
    yield "switch.rate", count / seconds
    yield "switch.reloads", loads


def _budget(names: list[str], settings: dict[str, str]) -> int:
    """MiB that the two largest are predicted to take, but not all three."""
    with _serving(settings) as (port, _):
        bytes_of = sorted(_predicted(port, name) for name in names)
    return int(SLACK * sum(bytes_of[-2:]) / MEBI)


def _predicted(port: int, name: str) -> int:
    with connection.connect(port) as line:
        request = connection.post(f"/api/v5/models/{name}/plan", {})
        return int(json.loads(connection.ask(line, request)[1])["ram_bytes"])


async def _random_requests(port: int, names: list[str], count: int) -> None:
    random = Random(0)
    waiting = [(number, random.choice(names)) for number in range(count)]

    async def work() -> None:
        while waiting:
            number, name = waiting.pop()
            client = Client(port, speaking_to(name))
            await client.ask(ask(f"random {number}", QUESTION), ANSWER)

    await asyncio.gather(*(work() for _ in range(CLIENTS)))


class Watch:
    """Notes the most memory that the engine processes of a server hold together, in bytes.

    Mapped files count in each process that maps them.
    """

    def __init__(self, pid: int) -> None:
        self._server = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            self.sample()

    def sample(self) -> None:
        """Add up what they hold now."""
        self.most = max(self.most, sum(map(_resident_bytes, self._server.children())))


def _resident_bytes(child: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(child.memory_info().rss)
    return 0


# ---------------------------------------------------------------- the server


@contextlib.contextmanager
def _serving(settings: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Port and process id of our server with these settings."""
    port = process.free_port()
    with process.running(own_command(), own_settings(port, **settings), port, "/health") as child:
        yield port, child.pid


def _loads(port: int) -> float:
    """How many loads of models the server has counted."""
    with connection.connect(port) as line:
        _, text = connection.ask(line, connection.get("/metrics"))
    return sum(map(float, LOADS.findall(text)))
