"""The lock that keeps other work off the machine while a sample is measured."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import machine
from bench.machine import Neighbours
from bench.quiet import Quiet


class Clock:
    """Seconds that pass only by ``sleep``, and what other processes take meanwhile."""

    def __init__(self) -> None:
        self.now = self.foreign = 0.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self.foreign += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    monkeypatch.setattr("time.sleep", clock.pause)
    monkeypatch.setattr(machine, "_foreign_seconds", lambda: clock.foreign)
    return clock


def _free(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _work(clock: Clock, lock: Path, count: int) -> Iterator[bool]:
    """Samples of 10 seconds each: whether other work could have run."""
    for _ in range(count):
        clock.now += 10
        yield _free(lock)


def test_the_lock_is_held_while_samples_are_measured_and_free_in_pauses(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, free = tmp_path / "lock", []
    monkeypatch.setattr("time.sleep", lambda _: free.append(_free(lock)))
    measured = Quiet(lock, stretch=20).samples(_work(clock, lock, 5), Neighbours())
    assert list(measured) == [False] * 5
    assert free == [True, True]
    assert _free(lock)


def test_a_pause_comes_after_a_stretch_and_not_after_each_sample(
    clock: Clock, tmp_path: Path
) -> None:
    gate = Quiet(tmp_path / "lock", stretch=20, pause=7)
    for _ in range(3):  # workloads of one short sample each
        list(gate.samples(_work(clock, tmp_path / "lock", 1), Neighbours()))
    assert clock.pauses == [7]


def test_other_processes_count_only_while_the_lock_is_held(clock: Clock, tmp_path: Path) -> None:
    neighbours = Neighbours()
    list(Quiet(tmp_path / "lock").samples(_work(clock, tmp_path / "lock", 6), neighbours))
    assert clock.pauses
    assert (neighbours.seconds, neighbours.percent()) == (60, 0)


def test_without_a_lock_nothing_pauses(clock: Clock, tmp_path: Path) -> None:
    assert len(list(Quiet(None).samples(_work(clock, tmp_path / "x", 9), Neighbours()))) == 9
    assert not clock.pauses
