"""The workloads that can be measured, by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.plan import Plan
from bench.report.samples import Sample
from bench.workloads import (
    cached,
    echo,
    encoders,
    engines,
    gap,
    in_process,
    mcp,
    openai,
    prefix,
    running,
    startup,
    store,
    streams,
    switch,
    turns,
    vision,
    workers,
)

WORKLOADS: dict[str, Callable[[Plan], Iterator[Sample]]] = {
    "streams": streams.generated,
    "starter": streams.starter,
    "prefix": prefix.run,
    "turns": turns.run,
    "gap": gap.run,
    "cached": cached.run,
    "startup": startup.run,
    "openai": openai.run,
    "echo": echo.run,
    "running": running.run,
    "workers": workers.run,
    "in_process": in_process.run,
    "mcp": mcp.run,
    "store": store.run,
    "engines": engines.run,
    "switch": switch.run,
    "vision": vision.run,
    "encoders": encoders.run,
}
