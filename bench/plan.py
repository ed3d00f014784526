"""What every workload is given: how much to measure, on which models, against which servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.contestants.process import ROOT
from bench.contestants.servers import BEFORE, OURS, Server
from bench.models import smollm2
from bench.models.chat_model import ChatModel


@dataclass(frozen=True)
class Scale:
    """How much is measured: repetitions, and sizes in tokens, seconds and stored messages."""

    rounds: int
    answer: int
    system: int
    opening: int
    early_turns: int
    turn_answer: int
    long_prompt: int
    cached_prompt: int
    repeats: int
    starts: int
    echo_requests: int
    echo_seconds: float
    running: int
    running_seconds: float
    stored: tuple[int, int]
    store_calls: int
    engine_questions: int
    switches: int
    random_requests: int
    pictures: int
    cases: int
    encoder_texts: int
    encoder_rankings: int
    encoder_pictures: int


FULL = Scale(
    rounds=3,
    answer=64,
    system=1000,
    opening=48,
    early_turns=17,
    turn_answer=12,
    long_prompt=4000,
    cached_prompt=250,
    repeats=10,
    starts=5,
    echo_requests=1000,
    echo_seconds=5.0,
    running=1000,
    running_seconds=6.0,
    stored=(10_000, 1_000_000),
    store_calls=1000,
    engine_questions=192,
    switches=10,
    random_requests=50,
    pictures=2,
    cases=208,
    encoder_texts=40,
    encoder_rankings=10,
    encoder_pictures=64,
)
SHORT = replace(FULL, early_turns=3, turn_answer=4, long_prompt=500)
"""Shorter conversations, for many rounds on slow machines; the targets hold for the full sizes."""
QUICK = Scale(
    rounds=1,
    answer=24,
    system=400,
    opening=16,
    early_turns=1,
    turn_answer=4,
    long_prompt=300,
    cached_prompt=100,
    repeats=3,
    starts=2,
    echo_requests=200,
    echo_seconds=1.0,
    running=100,
    running_seconds=3.0,
    stored=(10_000, 100_000),
    store_calls=300,
    engine_questions=24,
    switches=3,
    random_requests=8,
    pictures=1,
    cases=26,
    encoder_texts=8,
    encoder_rankings=2,
    encoder_pictures=16,
)
"""Small sizes for a run of a few minutes; the targets hold for the full sizes only."""


@dataclass(frozen=True)
class Plan:
    """The sizes, the servers that are there, the threads each may use, the models.

    ``cache`` is the folder of what is made once and measured often. ``before`` is another
    checkout of this project, whose server is measured beside ours.
    """

    scale: Scale
    servers: dict[str, Server]
    threads: int
    shape: Path
    starter: Path
    cache: Path
    smollm2: Path | None = None
    before: Path | None = None

    def rivals(self, *names: str) -> Iterator[Server]:
        """Those of the named servers that can be started here."""
        return (self.servers[name] for name in names if name in self.servers)

    def chat_models(self) -> list[ChatModel]:
        """The generated model, and the real one if it is there."""
        real = [smollm2.model(self.smollm2)] if self.smollm2 else []
        return [ChatModel(self.shape), *real]

    def checkouts(self) -> list[tuple[str, Path]]:
        """Our server, and the other one of this project, by contestant."""
        return [(OURS, ROOT), *([(BEFORE, self.before)] if self.before else [])]
