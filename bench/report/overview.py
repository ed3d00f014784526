"""What the picture of the README shows: this server beside its peers, from kept reports.

A figure is how many times as good as the peer's ours is, of rounds in which both were measured:
1 is level, above it ours is better. Figures in which the peer is better stand among the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.contestants.encoder_servers import PEER
from bench.contestants.servers import LLAMA_SERVER, MLX_SERVER, OURS
from bench.report.figures import FIGURES
from bench.report.report import Report
from bench.report.samples import Summary, ratio


@dataclass(frozen=True)
class Row:
    """One figure: its words, the report that has it, and against whom."""

    label: str
    report: str
    figure: str
    peer: str = LLAMA_SERVER


ROWS = (
    Row("0.5B, 1 answer: tokens a second", "latest", "streams.1"),
    Row("0.5B, 8 answers at once: tokens a second", "latest", "streams.8"),
    Row("SmolLM2, 1 answer: tokens a second", "latest", "smollm2.streams.1"),
    Row("SmolLM2, 8 answers at once: tokens a second", "latest", "smollm2.streams.8"),
    Row("a long prompt comes in: longest pause of a running answer", "latest", "gap.worst"),
    Row("… until that prompt's own first token", "latest", "gap.long"),
    Row("a conversation goes on after 15 others: first token", "latest", "turns.15.last"),
    Row("a new picture: first token", "vision", "vision.gguf.first"),
    Row("the same picture in a new conversation: first token", "vision", "vision.gguf.again"),
    Row("MLX, 8 answers: tokens a second", "engines", "engines.mlx.shape.8", MLX_SERVER),
    Row("vectors, 16 clients: texts a second", "encoders", "encoders.mixed.16", PEER),
    Row("rankings: pairs a second", "encoders", "encoders.rerank.1", PEER),
)


def bars(folder: Path) -> list[tuple[Row, Summary]]:
    """The figures that the reports in the folder have."""
    reports = {name: _report(folder / f"{name}.json") for name in {row.report for row in ROWS}}
    found = [(row, times(row, report)) for row in ROWS if (report := reports[row.report])]
    return [(row, one) for row, one in found if one]


def times(row: Row, report: Report) -> Summary | None:
    """How many times as good as the peer's ours is; None where one of them was not measured."""
    found = ratio(report.samples, row.figure, OURS, row.peer)
    if found is None or FIGURES[row.figure].is_rate:
        return found
    return Summary(1 / found.median, 1 / found.high, 1 / found.low)


def _report(path: Path) -> Report | None:
    return Report.read(path) if path.exists() else None
