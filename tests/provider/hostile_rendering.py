"""Render hostile templates, one after the other, in a process whose memory has a hard limit.

``python -m tests.provider.hostile_rendering`` reads sources as JSON and says of each how it ended
and after how many units of processor time, and how far the memory of the process grew over all.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from app.provider.generation import jinja_sandbox
from app.provider.generation.jinja_limits import TemplateFailed
from tests.cpu_time import unit

SECONDS = 0.3
"""Less than in the product, so that the tests are quick."""

_ROOM = 1 << 30


def main() -> None:
    jinja_sandbox._SECONDS = SECONDS
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + _ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    before = _peak()
    units = unit()
    endings = [_rendered(source, units) for source in json.load(sys.stdin)]
    json.dump({"endings": endings, "grown": _peak() - before}, sys.stdout)


def _rendered(source: str, units: float) -> tuple[str, float]:
    began = time.thread_time()
    try:
        jinja_sandbox.SandboxedTemplate(source).render(messages=[], tools=None)
        ending = "rendered"
    except TemplateFailed as failure:
        ending = "no memory" if _ran_out(failure) else str(failure)
    return ending, (time.thread_time() - began) / units


def _ran_out(failure: BaseException | None) -> bool:
    return failure is not None and (
        isinstance(failure, MemoryError) or _ran_out(failure.__cause__ or failure.__context__)
    )


def _peak() -> float:
    """Megabytes that the process has taken at most."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
