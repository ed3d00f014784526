"""How soon the API process is healthy and how big it is, before any model."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil

from bench.contestants import process
from bench.contestants.servers import own_command, own_settings
from bench.plan import Plan
from bench.report.samples import Sample

BARE = "bare import"
MEBI = 2**20


def run(plan: Plan) -> Iterator[Sample]:
    """Ours and the bare import of its web stack, in turn."""
    _bare()  # files into the page cache, for both
    contestants: dict[str, Callable[[], tuple[float, float]]] = {BARE: _bare}
    with contextlib.ExitStack() as folders:
        for name, root in plan.checkouts():
            folder = folders.enter_context(tempfile.TemporaryDirectory())
            _ours(root, folder)  # the first start makes the database, which the others find
            contestants[name] = partial(_ours, root, folder)
        for number in range(plan.scale.starts):
            for name, measure in contestants.items():
                seconds, size = measure()
                yield Sample("startup.seconds", name, number, seconds)
                yield Sample("startup.memory", name, number, size)


def _ours(root: Path, folder: str) -> tuple[float, float]:
    port = process.free_port()
    started = time.perf_counter()
    env = own_settings(port, root, MODELS_DIR=folder, DATABASE_URL=f"sqlite:///{folder}/sllm.db")
    with process.running(own_command(), env, port, "/health") as child:
        seconds = time.perf_counter() - started
        return seconds, psutil.Process(child.pid).memory_info().rss / MEBI


def _bare() -> tuple[float, float]:
    """Start of Python to the end of the imports, and the memory they take."""
    code = "import fastapi, uvicorn, sqlalchemy.orm; print(flush=True); input()"
    started = time.perf_counter()
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=os.environ) as child:
        assert child.stdout
        child.stdout.readline()
        seconds = time.perf_counter() - started
        size = psutil.Process(child.pid).memory_info().rss / MEBI
        with contextlib.suppress(BrokenPipeError):
            child.communicate(b"\n")
    return seconds, size
