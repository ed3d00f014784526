"""Which figures were promised, and whether what was measured keeps the promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.contestants.encoder_servers import PEER
from bench.contestants.servers import (
    BEFORE,
    GENERATOR,
    LLAMA_SERVER,
    MLX_LOOP,
    MLX_SERVER,
    ONE_PROCESS,
    OPENAI,
    OURS,
    PACKAGED,
    RAW,
    RAW_STREAMS,
    RELAY,
    STORE,
    STORED,
)
from bench.report.figures import VISION_ENGINES
from bench.report.samples import Sample, Summary, ratio, summary
from bench.workloads.startup import BARE


@dataclass(frozen=True)
class Goal:
    """Ours must be at least or at most ``limit``; with a peer: ``limit`` times the peer's.

    Another contestant than ours is one of our parts, or ours used in another way. The raw loop
    stands for the faster of its two ways. With ``within_spread`` a median between the peer's
    smallest and largest value meets the goal as well.
    """

    figure: str
    relation: Literal["≥", "≤"]
    limit: float
    peer: str | None = None
    contestant: str = OURS
    within_spread: bool = False


@dataclass(frozen=True)
class Verdict:
    """A goal beside what was measured: None where a part of it was not measured.

    ``rival`` is the peer, of the raw loop its faster way.
    """

    goal: Goal
    ours: Summary | None
    rival: str | None
    peer: Summary | None
    reached: Summary | None

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal."""
        if self.reached is None:
            return None
        if self.goal.within_spread and self._within_spread():
            return True
        if self.goal.relation == "≥":
            return self.reached.median >= self.goal.limit
        return self.reached.median <= self.goal.limit

    def _within_spread(self) -> bool:
        if self.ours is None or self.peer is None:
            return False
        return self.peer.low <= self.ours.median <= self.peer.high


def _stored(task: str, milliseconds: float, *contestants: str) -> Iterator[Goal]:
    for who in contestants:
        yield Goal(f"store.large.{task}.p99", "≤", milliseconds, contestant=who)
        yield Goal(f"store.grown.{task}.p50", "≤", 2.0, contestant=who)


def _engines() -> Iterator[Goal]:
    yield Goal("engines.gguf.shape.1", "≥", 0.97, RAW)
    yield Goal("engines.gguf.shape.8", "≥", 0.97, RAW)
    for model in ("starter", "shape"):
        for streams in (1, 8):
            yield Goal(f"engines.gguf.{model}.{streams}", "≥", 1.0, LLAMA_SERVER)
        yield Goal(f"engines.onnx.{model}.1", "≥", 1.3, GENERATOR)
        yield Goal(f"engines.onnx.{model}.8", "≥", 2.5, GENERATOR)
        for streams in (1, 8):
            yield Goal(f"engines.mlx.{model}.{streams}", "≥", 0.95, MLX_LOOP)
            yield Goal(f"engines.mlx.{model}.{streams}", "≥", 1.0, MLX_SERVER)


def _vision() -> Iterator[Goal]:
    for engine, (_, peer) in VISION_ENGINES.items():
        if peer:
            yield Goal(f"vision.{engine}.ratio", "≤", 0.2)
            for part in ("encode", "first", "follow", "again", "gap"):
                yield Goal(f"vision.{engine}.{part}", "≤", 1.0, peer)
        yield Goal(f"vision.{engine}.right", "≥", 95.0)


def _encoders() -> Iterator[Goal]:
    for kind, of_sixteen in (("short", 3.0), ("long", 1.0), ("mixed", 1.6)):
        yield Goal(f"encoders.{kind}.1", "≥", 1.0, PEER)
        yield Goal(f"encoders.{kind}.16", "≥", of_sixteen, PEER)


def _not_worse() -> Iterator[Goal]:
    """Than before: within its own spread counts as equal."""
    for prefix in ("", "smollm2."):
        for name in ("prefix.next", "turns.7.last", "turns.15.last", "gap.worst", "gap.long"):
            yield Goal(f"{prefix}{name}", "≤", 1.0, BEFORE, within_spread=True)


def _openai() -> Iterator[Goal]:
    for prefix in ("", "smollm2."):
        for answers in (1, 8):
            figure = f"{prefix}openai.{answers}"
            yield Goal(figure, "≥", 1.0, LLAMA_SERVER, OPENAI, within_spread=True)
            ratio = f"{prefix}openai.schema.{answers}.ratio"
            yield Goal(ratio, "≥", 0.95, contestant=OPENAI)


def _turns() -> Iterator[Goal]:
    for prefix in ("", "smollm2."):
        yield Goal(f"{prefix}prefix.ratio", "≤", 1.0, LLAMA_SERVER, within_spread=True)
        for others in (7, 15):
            figure = f"{prefix}turns.{others}.ratio"
            yield Goal(figure, "≤", 0.25)
            yield Goal(figure, "≤", 1.0, LLAMA_SERVER, within_spread=True)
            if prefix:
                yield Goal(figure, "≤", 0.25, contestant=STORED)


GOALS = (
    Goal("streams.1", "≥", 0.97, RAW),
    Goal("streams.1", "≥", 1.0, LLAMA_SERVER),
    Goal("streams.8", "≥", 0.97, RAW),
    Goal("streams.8", "≥", 1.0, LLAMA_SERVER),
    Goal("streams.8", "≥", 3.0, PACKAGED),
    Goal("smollm2.streams.1", "≥", 0.97, LLAMA_SERVER),
    Goal("smollm2.streams.8", "≥", 0.98, LLAMA_SERVER),
    Goal("smollm2.streams.8", "≥", 0.97, RAW),
    Goal("starter.1", "≥", 0.6, RAW),
    Goal("starter.8", "≥", 1.0, LLAMA_SERVER),
    Goal("smollm2.cached.0", "≤", 1.2, LLAMA_SERVER),
    Goal("smollm2.cached.4", "≤", 1.2, LLAMA_SERVER),
    *_not_worse(),
    Goal("prefix.ratio", "≤", 0.05),
    *_turns(),
    Goal("gap.ratio", "≤", 6.0),
    Goal("gap.own", "≤", 6.0),
    Goal("gap.prefill", "≤", 1.5),
    Goal("startup.seconds", "≤", 1.3, BARE),
    Goal("startup.memory", "≤", 120.0),
    Goal("echo.p50", "≤", 3.0),
    Goal("echo.rate", "≥", 1500.0),
    Goal("echo.start.more", "≤", 5.0),
    Goal("echo.next.more", "≤", 5.0),
    Goal("echo.stored.p99", "≤", 10.0),
    Goal("in_process.more", "≤", 1.0),
    Goal("mcp.older.more", "≤", 20.0),
    Goal("mcp.newest.more", "≤", 20.0),
    Goal("running.count", "≥", 1000.0),
    Goal("running.share", "≤", 20.0),
    Goal("running.p99", "≤", 50.0),
    Goal("workers.ratio", "≥", 0.95, RELAY),
    Goal("workers.model", "≥", 0.98, ONE_PROCESS),
    Goal("workers.p50.more", "≤", 1.5),
    *_openai(),
    *_stored("list", 10.0, OURS, STORE),
    *_stored("open", 10.0, OURS, STORE),
    *_stored("search", 50.0, OURS, STORE),
    *_stored("message", 10.0, STORE),
    *_stored("turn", 10.0, STORE),
    *_engines(),
    Goal("switch.ratio", "≤", 1.1),
    Goal("switch.loads", "≤", 0.0),
    Goal("switch.used", "≤", 1.0),
    *_vision(),
    *_encoders(),
)


def judge(goal: Goal, samples: list[Sample]) -> Verdict:
    """Hold the goal against the measured numbers."""
    ours = summary(samples, goal.figure, goal.contestant)
    if goal.peer is None:
        return Verdict(goal, ours, None, None, ours)
    rival = _rival(goal, samples)
    peer = summary(samples, goal.figure, rival)
    return Verdict(goal, ours, rival, peer, ratio(samples, goal.figure, goal.contestant, rival))


def _rival(goal: Goal, samples: list[Sample]) -> str:
    """The goal's peer; of the raw loop the way with the larger median, as all its figures rise."""
    if goal.peer != RAW:
        return goal.peer or OURS
    ways = {way: summary(samples, goal.figure, way) for way in (RAW, RAW_STREAMS)}
    known = {way: found.median for way, found in ways.items() if found}
    return max(known, key=lambda way: known[way], default=RAW)
