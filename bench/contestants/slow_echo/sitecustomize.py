"""Makes the echo engine say a word a second to any number of requests at the same time.

Python imports a module of this name at its start when the folder is in PYTHONPATH. It changes the
engine process of a server and nothing else, so the server runs as it is.
"""

from __future__ import annotations

import sys
import time
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.provider.engines.echo.engine import EchoEngine, EchoJob
    from app.provider.types import Event

TICK_SECONDS = 0.002
SLICES = 500
"""Each step serves one slice of the requests, so that words do not come all at once."""

steps = count()


def admit(engine: EchoEngine, job: int, prepared: EchoJob) -> bool:
    """Take every job."""
    engine._jobs[job] = prepared
    return True


def step(engine: EchoEngine) -> list[tuple[int, Event]]:
    """One word for the jobs of one slice, and the first one for new jobs."""
    time.sleep(TICK_SECONDS)
    now = next(steps) % SLICES
    due = [
        (job, state)
        for job, state in engine._jobs.items()
        if job % SLICES == now or not state.started
    ]
    events = [(job, event) for job, state in due for event in state.step()]
    for job, event in events:
        if type(event).__name__ == "End":
            del engine._jobs[job]
    return events


def slow_down() -> None:
    """Replace these two methods of the engine."""
    # Not at the top: the API process imports this file as well.
    from app.provider.engines.echo.engine import EchoEngine  # noqa: PLC0415

    for name, method in (("admit", admit), ("step", step)):
        setattr(EchoEngine, name, method)


if "app.provider.runtime.worker" in sys.orig_argv:
    slow_down()
