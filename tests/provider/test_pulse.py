"""Signs of life of a long forward pass: while it computes, and not for ever."""

from __future__ import annotations

import pytest

from app.provider.runtime.pulse import LONGEST_PASS_SECONDS, Pulse


class Watch:
    """A pulse on a clock that the test sets."""

    def __init__(self) -> None:
        self.now, self.cpu, self.sent = 100.0, 5.0, 0
        self.pulse = Pulse(self._send, lambda: self.now, lambda: self.cpu)

    def _send(self) -> None:
        self.sent += 1

    def pass_by(self, seconds: float, *, cpu: float) -> int:
        """Let time pass, then beat once; returns how often that has sent something."""
        self.now += seconds
        self.cpu += cpu
        before = self.sent
        self.pulse.beat()
        return self.sent - before


def test_a_pass_that_computes_shows_it() -> None:
    watch = Watch()
    watch.pulse.begin()
    assert watch.pass_by(4, cpu=4) == 0, "its own report will come"
    assert watch.pass_by(10, cpu=10) == 1
    assert watch.pass_by(10, cpu=20) == 1
    watch.pulse.end()
    assert watch.pass_by(10, cpu=10) == 0


def test_a_pass_that_hangs_is_silent() -> None:
    watch = Watch()
    watch.pulse.begin()
    assert watch.pass_by(30, cpu=0.2) == 0
    assert watch.pass_by(30, cpu=0.2) == 0


@pytest.mark.parametrize(("seconds", "sent"), [(-11, 1), (1, 0)])
def test_a_pass_that_computes_for_ever_is_silent_in_the_end(seconds: float, sent: int) -> None:
    watch = Watch()
    watch.pulse.begin()
    assert watch.pass_by(LONGEST_PASS_SECONDS + seconds, cpu=1000) == sent
