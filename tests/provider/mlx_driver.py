"""The MLX engine in this process, shown pictures, on a tiny model."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.provider.engine import ENGINES, EngineLimits, EngineSpec, load
from app.provider.errors import ProviderError
from app.provider.types import (
    End,
    Event,
    Prompt,
    Started,
)
from tests.provider.asking import Reply
from tests.provider.pictures import shown

WHAT = "What is it?"
NONE = array("i")
LONG = "one two three four five six seven eight nine ten " * 4


@dataclass
class Driver:
    """Steps an engine in this process, as the worker does."""

    engine: Any
    _events: dict[int, list[Event | ProviderError]] = field(default_factory=dict)

    def start(self, prompt: Prompt) -> int:
        """Admit a prompt."""
        job = len(self._events)
        self._events[job] = []
        assert self.engine.admit(job, self.engine.prepare(prompt))
        return job

    def step(self) -> None:
        for job, event in self.engine.step():
            self._events[job].append(event)

    def events_of(self, job: int) -> list[Event | ProviderError]:
        """What is known of a job so far."""
        return self._events[job]

    def begun(self, job: int) -> bool:
        """Whether it is being read."""
        return any(isinstance(event, Started) for event in self.events_of(job))

    def end(self, *jobs: int) -> list[Reply]:
        """Step until these have ended; raises what they failed with."""
        for job in jobs:
            while not (events := self.events_of(job)) or not isinstance(
                events[-1], End | ProviderError
            ):
                self.step()
            if isinstance(events[-1], ProviderError):
                raise events[-1]
        return [
            Reply([one for one in self.events_of(job) if isinstance(one, Event)]) for job in jobs
        ]

    def ask(self, *turns: Any, **options: Any) -> Reply:
        return self.end(self.start(shown(*turns, **{"max_tokens": 16, **options})))[0]


def driver(folder: Path, **limits: Any) -> Driver:
    spec = EngineSpec(ENGINES["mlx"], str(folder), EngineLimits(**limits))
    return Driver(load(spec, lambda _: None))
