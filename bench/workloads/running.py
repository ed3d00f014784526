"""Many stored answers run at the same time: what keeping them alive takes of the database.

The echo engine says a word a second to each of them (``contestants/slow_echo``), so that every
answer has new text at every heartbeat. Everything is measured from outside the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from bench.contestants import process
from bench.contestants.client import Client
from bench.contestants.servers import STORED, own_command, own_settings
from bench.inputs.prompts import Messages, ask
from bench.inputs.write_lock import KNOWN, held_percent
from bench.plan import Plan, Scale
from bench.report.samples import Sample

SLOW_ECHO = Path(process.ROOT, "bench", "contestants", "slow_echo")
LONG = 150
"""Words of an answer that does not end while it is measured."""
START_SECONDS = 60.0
SETTLE_SECONDS = 3.0
NEW_TURNS = 200


def run(plan: Plan) -> Iterator[Sample]:
    """First nothing but the running answers, then new turns beside them, one after the other."""
    for number in range(plan.scale.rounds):
        for name, root in plan.checkouts():
            with tempfile.TemporaryDirectory(dir=plan.cache) as folder:
                database = Path(folder, "running.db")
                with _serving(root, database) as port:
                    crowd = Crowd(_client(plan, port), plan.scale)
                    for figure, value in asyncio.run(crowd.measure(database)).items():
                        yield Sample(figure, name, number, value)


@contextlib.contextmanager
def _serving(root: Path, database: Path) -> Iterator[int]:
    """Port of the server of a checkout with the slow engine."""
    port = process.free_port()
    settings = own_settings(
        port,
        root,
        MODELS_DIR=str(database.parent),
        ENABLE_ECHO="true",
        DATABASE_URL=f"sqlite:///{database}",
        MAX_WAITING="10000",
    )
    settings["PYTHONPATH"] = os.pathsep.join([str(SLOW_ECHO), settings["PYTHONPATH"]])
    with process.running(own_command(), settings, port, "/health"):
        yield port


def _client(plan: Plan, port: int) -> Client:
    dialect = plan.servers[STORED].dialect
    return Client(
        port, replace(dialect, body=lambda *asked: dialect.body(*asked) | {"model": "echo"})
    )


@dataclass
class Crowd:
    """The requests whose answers run, and the one who asks beside them."""

    client: Client
    scale: Scale
    begun: int = 0
    all_begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def measure(self, database: Path) -> dict[str, float]:
        """The figures, with all answers running from the first to the last of them."""
        await self.client.ask(ask("warm", 1), LONG)
        running = [
            asyncio.create_task(self._run(ask(f"running {number}", LONG)))
            for number in range(self.scale.running)
        ]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.all_begun.wait(), START_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)
        figures: dict[str, float] = {}
        if KNOWN:
            seconds = self.scale.running_seconds
            figures["running.share"] = await asyncio.to_thread(held_percent, database, seconds)
        times = quantiles(await self._new_turns(), n=100)
        figures |= {"running.p50": times[49], "running.p99": times[98]}
        figures["running.count"] = sum(not one.done() for one in running)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return figures

    async def _run(self, question: Messages) -> None:
        first = True

        def watch(_now: float) -> bool:
            nonlocal first
            self.begun += first
            first = False
            if self.begun == self.scale.running:
                self.all_begun.set()
            return False

        await self.client.ask(question, LONG, watch)

    async def _new_turns(self) -> list[float]:
        """Milliseconds to the first text of turns of one word, as many as fit into the time."""
        times: list[float] = []
        end = perf_counter() + 2 * self.scale.running_seconds
        while len(times) < 2 or (len(times) < NEW_TURNS and perf_counter() < end):
            reply = await self.client.ask(ask(f"new {len(times)}", 1), LONG)
            times.append(reply.ttft * 1000)
        return times
