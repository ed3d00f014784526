"""Counters of API processes, kept so that their sums never go backwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import field

from app.provider.model_server.protocol import Method
from app.provider.types import Value

MOST_GONE = 1000
"""Clients that have gone and may come back."""


class Counters(Value, frozen=True):
    """Figures of one process: ``counters`` only grow, ``gauges`` are those of the moment."""

    counters: dict[str, float] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)


class Totals(Value, frozen=True):
    """The last figures of each process that runs, and the sums of the counters of all others."""

    ended: dict[str, float] = field(default_factory=dict)
    running: list[Counters] = field(default_factory=list)


EXCHANGE = Method("exchange_counters", tuple[Counters, dict[str, float]], Totals)
"""Report the figures of this process and the ``ended`` that it knew; returns those of all."""


class CounterBook:
    """What each client has reported last, by its id."""

    def __init__(self) -> None:
        self._running: dict[str, Counters] = {}
        self._gone: dict[str, Counters] = {}
        self._ended: dict[str, float] = {}

    def report(self, client: str, figures: Counters, ended: Mapping[str, float]) -> Totals:
        """Note the figures of a client. ``ended`` is what it knew of an earlier server."""
        if returned := self._gone.pop(client, None):
            for name, count in returned.counters.items():
                self._ended[name] -= count
        self._running[client] = figures
        for name, count in ended.items():
            self._ended[name] = max(self._ended.get(name, 0.0), count)
        return Totals(dict(self._ended), list(self._running.values()))

    def leave(self, client: str) -> None:
        """A client has gone: what it has counted stays."""
        if figures := self._running.pop(client, None):
            self._ended = summed([self._ended, figures.counters])
            self._gone[client] = figures
            for oldest in list(self._gone)[:-MOST_GONE]:
                del self._gone[oldest]


def summed(counters: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The sums by name."""
    found: dict[str, float] = {}
    for each in counters:
        for name, count in each.items():
            found[name] = found.get(name, 0.0) + count
    return found
