"""What each figure is called and which of them were promised: data for the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.contestants.servers import (
    GENERATOR,
    LLAMA_SERVER,
    MLX_LOOP,
    MLX_SERVER,
    MLX_VLM_SERVER,
    OURS,
    PACKAGED,
    RAW,
    SQLITE,
    STORE,
    STORED,
)
from bench.report.samples import Sample, Summary, ratio, summary
from bench.workloads.startup import BARE


@dataclass(frozen=True)
class Figure:
    """A measured quantity in words, with its unit; ratios have none."""

    title: str
    unit: str

    @property
    def label(self) -> str:
        """Words and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


@dataclass(frozen=True)
class Goal:
    """Ours must be at least or at most ``limit``; with a peer: ``limit`` times the peer's.

    Another contestant than ours is one of our parts, or ours used in another way.
    """

    figure: str
    relation: Literal["≥", "≤"]
    limit: float
    peer: str | None = None
    contestant: str = OURS


@dataclass(frozen=True)
class Verdict:
    """A goal beside what was measured: None where a part of it was not measured."""

    goal: Goal
    ours: Summary | None
    peer: Summary | None
    reached: Summary | None

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal."""
        if self.reached is None:
            return None
        if self.goal.relation == "≥":
            return self.reached.median >= self.goal.limit
        return self.reached.median <= self.goal.limit


CONTESTANTS = (
    OURS,
    STORED,
    STORE,
    SQLITE,
    RAW,
    GENERATOR,
    MLX_LOOP,
    LLAMA_SERVER,
    PACKAGED,
    MLX_SERVER,
    MLX_VLM_SERVER,
    BARE,
)

TASKS = {
    "list": "a page of the list",
    "open": "open a conversation",
    "search": "search",
    "scattered": "search, the worst words",
    "message": "store a message",
    "turn": "store a turn",
    "chat": "a whole turn of the echo engine",
}

STORE_FIGURES = {
    f"store.{size}.{task}.{part}": Figure(f"{size} store: {words}, {part}", "ms")
    for size in ("small", "large")
    for task, words in TASKS.items()
    for part in ("p50", "p99", "max")
} | {
    f"store.grown.{task}.{part}": Figure(f"large ÷ small store: {words}, {part}", "")
    for task, words in TASKS.items()
    for part in ("p50", "p99")
}

ENGINE_MODELS = {
    "gguf.starter": "GGUF, starter",
    "gguf.shape": "GGUF, 0.5B Q8_0",
    "onnx.starter": "ONNX, starter",
    "onnx.shape": "ONNX, 0.5B int4",
    "mlx.starter": "MLX, starter",
    "mlx.shape": "MLX, 0.5B bfloat16",
}

ENGINE_FIGURES = {
    f"engines.{model}.{streams}": Figure(f"{words}, {what}", "tok/s")
    for model, words in ENGINE_MODELS.items()
    for streams, what in ((1, "1 stream"), (8, "8 streams, total"))
}

SWITCH_FIGURES = {
    "switch.ratio": Figure("two loaded models in turn: first token ÷ staying with one", ""),
    "switch.loads": Figure("… loads meanwhile", ""),
    "switch.stay": Figure("… first token, staying", "ms"),
    "switch.switch": Figure("… first token, after a switch", "ms"),
    "switch.used": Figure("three models, room for two: most memory held ÷ budget", ""),
    "switch.budget": Figure("… budget", "MiB"),
    "switch.most": Figure("… most memory held by engines", "MiB"),
    "switch.rate": Figure("… random requests of 2 clients", "requests/s"),
    "switch.reloads": Figure("… loads for these requests", ""),
}

VISION_ENGINES = {
    "gguf": ("pictures of 300 tokens, GGUF", LLAMA_SERVER),
    "mlx": ("pictures of 50 tokens, MLX", MLX_VLM_SERVER),
    "pytorch": ("pictures, PyTorch", ""),
    "hyperclovax": ("pictures, HyperCLOVA X", ""),
}
"""Engine → its pictures, and the server that is shown the same ones."""

VISION_PARTS = {
    "encode": ("to encode one, beyond the prefill of as many words", "ms"),
    "first": ("first token of the first question", "ms"),
    "follow": ("first token of the next one about the same picture", "ms"),
    "ratio": ("first token of the next one ÷ of the first", ""),
    "again": ("first token with the same picture in a new conversation", "ms"),
    "gap": ("worst gap of a running stream while a picture comes in", "ms"),
    "gap.ratio": ("worst gap while a picture comes in ÷ median before", ""),
    "right": ("right answers of the vision starter", "%"),
}

VISION_FIGURES = {
    f"vision.{engine}.{part}": Figure(f"{what}: {words}", unit)
    for engine, (what, _) in VISION_ENGINES.items()
    for part, (words, unit) in VISION_PARTS.items()
}

FIGURES = {
    "streams.1": Figure("1 stream", "tok/s"),
    "streams.8": Figure("8 streams, total", "tok/s"),
    "starter.8": Figure("starter model, 8 streams, total", "tok/s"),
    "prefix.ratio": Figure("shared system prompt: first token of 2nd…8th ÷ 1st", ""),
    "prefix.worst": Figure("… the slowest ÷ 1st", ""),
    "prefix.together": Figure("… 2nd…8th sent at the same moment ÷ 1st", ""),
    "prefix.first": Figure("… first token of the 1st", "ms"),
    "prefix.next": Figure("… first token of the 2nd…8th", "ms"),
    "turns.7.ratio": Figure("turn 20 among 7 others: first token ÷ cold", ""),
    "turns.7.worst": Figure("… the slowest ÷ cold", ""),
    "turns.7.cold": Figure("… first token cold", "ms"),
    "turns.7.last": Figure("… first token of turn 20", "ms"),
    "turns.15.ratio": Figure("turn 20 among 15 others: first token ÷ cold", ""),
    "turns.15.worst": Figure("… the slowest ÷ cold", ""),
    "turns.15.cold": Figure("… first token cold", "ms"),
    "turns.15.last": Figure("… first token of turn 20", "ms"),
    "gap.ratio": Figure(
        "long prompt comes in: worst gap of a running stream ÷ its median before", ""
    ),
    "gap.prefill": Figure("long prompt comes in: its first token ÷ alone", ""),
    "gap.own": Figure("… worst gap ÷ the median of all its gaps", ""),
    "gap.median": Figure("… median gap before", "ms"),
    "gap.worst": Figure("… worst gap meanwhile", "ms"),
    "gap.alone": Figure("… first token of the long prompt alone", "s"),
    "startup.seconds": Figure("API process, start to healthy", "s"),
    "startup.memory": Figure("API process, resident before any model", "MiB"),
    "echo.p50": Figure("echo, v1 chat, 1 client, median", "ms"),
    "echo.rate": Figure("echo, v1 chat, 32 clients", "requests/s"),
    "echo.start": Figure("echo, stored v4 chat that starts a conversation, median", "ms"),
    "echo.start.more": Figure("echo, stored v4 chat that starts one: more than v1", "ms"),
    "echo.next": Figure("echo, stored v4 chat that goes on with one, median", "ms"),
    "echo.next.more": Figure("echo, stored v4 chat that goes on with one: more than v1", "ms"),
    **STORE_FIGURES,
    **ENGINE_FIGURES,
    **SWITCH_FIGURES,
    **VISION_FIGURES,
}


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


GOALS = (
    Goal("streams.1", "≥", 0.97, RAW),
    Goal("streams.8", "≥", 0.97, RAW),
    Goal("streams.8", "≥", 1.0, LLAMA_SERVER),
    Goal("streams.8", "≥", 3.0, PACKAGED),
    Goal("starter.8", "≥", 1.0, LLAMA_SERVER),
    Goal("prefix.ratio", "≤", 0.05),
    Goal("prefix.ratio", "≤", 1.0, LLAMA_SERVER),
    Goal("turns.7.ratio", "≤", 0.15),
    Goal("turns.7.ratio", "≤", 0.15, contestant=STORED),
    Goal("turns.7.ratio", "≤", 1.0, LLAMA_SERVER),
    Goal("turns.15.ratio", "≤", 0.15),
    Goal("turns.15.ratio", "≤", 0.15, contestant=STORED),
    Goal("turns.15.ratio", "≤", 1.0, LLAMA_SERVER),
    Goal("gap.ratio", "≤", 6.0),
    Goal("gap.own", "≤", 6.0),
    Goal("gap.prefill", "≤", 1.5),
    Goal("startup.seconds", "≤", 1.3, BARE),
    Goal("startup.memory", "≤", 120.0),
    Goal("echo.p50", "≤", 3.0),
    Goal("echo.rate", "≥", 1500.0),
    Goal("echo.start.more", "≤", 5.0),
    Goal("echo.next.more", "≤", 5.0),
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
)


def judge(goal: Goal, samples: list[Sample]) -> Verdict:
    """Hold the goal against the measured numbers."""
    ours = summary(samples, goal.figure, goal.contestant)
    if goal.peer is None:
        return Verdict(goal, ours, None, ours)
    peer = summary(samples, goal.figure, goal.peer)
    return Verdict(goal, ours, peer, ratio(samples, goal.figure, goal.contestant, goal.peer))
