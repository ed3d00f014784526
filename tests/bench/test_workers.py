"""The bare relay that several processes are measured beside."""

import json

import pytest

from bench.contestants.connection import ask, connect
from bench.workloads.echo import BODY, REQUEST
from bench.workloads.workers import relayed
from tests.selection import matrix

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("processes", [2, *matrix(1)])
def test_the_relay_repeats_the_question(processes: int) -> None:
    with relayed(processes) as port, connect(port) as first, connect(port) as second:
        for connection in (first, second, first):
            _, answer = ask(connection, REQUEST)
            assert json.loads(answer) == {"message": BODY["message"]}
