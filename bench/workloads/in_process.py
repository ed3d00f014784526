"""Models without a server: what a call costs beyond the engine, with the echo engine.

The same question goes to the pool of models on its own event loop, through the backend that
Python programs use, and through LangChain's chat model on top of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

from app.chat.completion import collect
from app.client import in_process
from app.client.backend import CHAT
from app.client.in_process import InProcess
from app.config import Settings
from app.provider.pool.pool import ModelPool
from app.provider.types import Message, Prompt
from bench.contestants.servers import OURS
from bench.plan import Plan
from bench.report.samples import Sample
from bench.workloads.echo import WARM_UP, median_milliseconds

TEXT = "Good morning, how are you today?"
BODY = {"model": "echo", "messages": [{"role": "user", "content": TEXT}]}


def run(plan: Plan) -> Iterator[Sample]:
    """Medians of one call at a time."""
    with TemporaryDirectory() as empty:
        settings = Settings(_env_file=None, models_dir=Path(empty), enable_echo=True)
        with closing(InProcess(settings)) as backend:
            for number in range(plan.scale.rounds):
                for figure, value in _figures(backend, plan.scale.echo_requests).items():
                    yield Sample(figure, OURS, number, value)


def _figures(backend: InProcess, requests: int) -> dict[str, float]:
    pool = backend.thread.run(_alone(backend.pool, requests))
    post = median_milliseconds(lambda: backend.post(CHAT, BODY), requests)
    figures = {"in_process.post": post, "in_process.more": post - pool}
    with patch.object(in_process, "shared", lambda: backend):
        from app.langchain.chat import ChatSLLM  # noqa: PLC0415 — needs an extra

        chat = ChatSLLM(model="echo")
        figures["in_process.chat"] = median_milliseconds(lambda: chat.invoke(TEXT), requests)
    return figures


async def _alone(pool: ModelPool, requests: int) -> float:
    """Median milliseconds of what no way around the pool can save."""
    prompt, times = Prompt((Message.of("user", TEXT),)), list[float]()
    for _ in range(WARM_UP + requests):
        started = time.perf_counter()
        await collect(pool.stream("echo", prompt))
        times.append(time.perf_counter() - started)
    return median(times[WARM_UP:]) * 1000
