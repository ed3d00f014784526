"""Runs a baseline in a process of its own; requests and results are lines of JSON in its pipes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Run = Callable[[list[str], int, int], int]
"""Texts, most tokens of an answer, answers at a time → tokens of all answers."""

Measure = Callable[..., tuple[int, float]]
"""The same arguments → tokens and seconds; by default eight answers at a time."""

LANES = 8


@contextlib.contextmanager
def driven(module: str, model: Path, threads: int, *options: str) -> Iterator[Measure]:
    """Run ``bench.baselines.<module>``; it loads the model when the first measurement begins."""
    program = [sys.executable, "-m", f"bench.baselines.{module}"]
    arguments = [str(model), "--threads", str(threads), *options]
    pipe = subprocess.PIPE
    child = subprocess.Popen([*program, *arguments], stdin=pipe, stdout=pipe, text=True)
    assert child.stdin
    assert child.stdout
    stdin, stdout = child.stdin, child.stdout

    def measure(texts: list[str], max_tokens: int, lanes: int = LANES) -> tuple[int, float]:
        request = {"texts": texts, "max_tokens": max_tokens, "lanes": lanes}
        print(json.dumps(request), file=stdin, flush=True)
        answer = json.loads(stdout.readline())
        return answer["tokens"], answer["seconds"]

    try:
        yield measure
    finally:
        stdin.close()
        child.wait()
        stdout.close()


def serve(run: Run) -> None:
    """Answer requests until the input ends; every baseline calls this in its process."""
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        tokens = run(request["texts"], request["max_tokens"], request["lanes"])
        seconds = time.perf_counter() - started
        print(json.dumps({"tokens": tokens, "seconds": seconds}), flush=True)
