"""Measured numbers, and what is made of them: medians, spreads, ratios of paired rounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Sample:
    """One number: of which figure, of which contestant, in which round."""

    figure: str
    contestant: str
    round: int
    value: float


@dataclass(frozen=True)
class Summary:
    """The median of some values, with the smallest and the largest."""

    median: float
    low: float
    high: float


def values(samples: Iterable[Sample], figure: str, contestant: str) -> dict[int, list[float]]:
    """The values of one contestant's figure, by round."""
    found: dict[int, list[float]] = {}
    for sample in samples:
        if (sample.figure, sample.contestant) == (figure, contestant):
            found.setdefault(sample.round, []).append(sample.value)
    return found


def summary(samples: Iterable[Sample], figure: str, contestant: str) -> Summary | None:
    """Median and spread over all rounds; None when nothing was measured."""
    rounds = values(samples, figure, contestant).values()
    flat = [value for one in rounds for value in one]
    return Summary(median(flat), min(flat), max(flat)) if flat else None


def ratio(samples: list[Sample], figure: str, contestant: str, peer: str) -> Summary | None:
    """The contestant ÷ the peer, round by round, so that slow minutes hit both."""
    mine, theirs = values(samples, figure, contestant), values(samples, figure, peer)
    both = [median(mine[one]) / median(theirs[one]) for one in mine.keys() & theirs.keys()]
    return Summary(median(both), min(both), max(both)) if both else None
