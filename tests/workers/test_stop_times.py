"""How long processes wait for each other at the end."""

from __future__ import annotations

from app.cli.service import control
from app.cli.serving import supervisor
from app.conversations import answering
from app.web import server


def test_who_ends_a_process_waits_longer_than_it_may_take() -> None:
    """First connections may finish, then the answers that go on without a reader."""
    own = server.FINISH_SECONDS + answering.FINISH_SECONDS
    assert own < supervisor.LONGEST_STOP < control.LONGEST_STOP
