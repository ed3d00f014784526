"""Waiting jobs learn their places, and that costs few messages however many wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from app.provider.generation.queue_places import SECONDS_PER_PLACE, QueuePlaces
from app.provider.runtime.status import HostPolicy
from tests.provider.asking import ask, host_of
from tests.provider.upstream.servers import remote_host

STEP = SECONDS_PER_PLACE
JOBS = 200


class Reports:
    """What clients learn from ``QueuePlaces`` while a clock goes on by ``STEP`` a look."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.places = QueuePlaces(lambda: self.seconds)
        self.known: dict[int, int] = {}
        self.count = 0

    def look(self, waiting: Sequence[int]) -> None:
        """Report what is due, and let the time of one step pass."""
        if self.places.due():
            for job, place in self.places.changed(waiting):
                assert self.known.get(job) != place.done
                self.known[job] = place.done
                self.count += 1
        self.seconds += STEP


def test_a_thousand_waiting_jobs_are_told_few_places_and_in_the_end_the_right_ones() -> None:
    reports, waiting = Reports(), list(range(1000))
    while len(waiting) > 3:
        reports.look(waiting)
        waiting.pop(0)
    assert reports.count <= 2 * 1000  # one place a step, and those of the first report
    for _ in range(1000):
        reports.look(waiting)
    assert [reports.known[job] for job in waiting] == [0, 1, 2]


def test_a_few_jobs_learn_every_place() -> None:
    reports, waiting = Reports(), [1, 2, 3]
    for _ in range(3):
        for _ in range(4):
            reports.look(waiting)
        assert [reports.known[job] for job in waiting] == [*range(len(waiting))]
        waiting.pop(0)
    assert reports.count == 3 + 2 + 1


def test_a_place_that_has_not_changed_is_not_reported_again() -> None:
    reports = Reports()
    for _ in range(9):
        reports.look([5, 7])
    assert reports.count == 2


@pytest.mark.parametrize("engine", ["echo", "upstream"])
async def test_an_engine_reports_few_places(engine: str, request: pytest.FixtureRequest) -> None:
    policy = HostPolicy(max_waiting=JOBS)
    if engine == "upstream":
        url = request.getfixturevalue("other_server").url
        host = remote_host(url, "echo", policy, slots=1)
    else:
        host = host_of(engine, policy, slots=1)
    await ask(host, "one")
    began = time.monotonic()
    replies = await asyncio.gather(*(ask(host, "word " * 50) for _ in range(JOBS)))
    passed = time.monotonic() - began
    await host.stop()
    places = [[one.done for one in reply.progress if one.phase == "queued"] for reply in replies]
    assert all(seen == sorted(seen, reverse=True) for seen in places)
    assert sum(map(len, places)) <= passed / SECONDS_PER_PLACE + JOBS
