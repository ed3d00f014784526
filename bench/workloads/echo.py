"""Everything but the model: whole answers of the echo engine over kept-open connections."""

from __future__ import annotations

import json
import selectors
import tempfile
import time
from collections.abc import Iterator
from statistics import median

from bench.contestants import process
from bench.contestants.connection import ask, connect, post, receive
from bench.contestants.servers import OURS, own_command, own_settings
from bench.plan import Plan, Scale
from bench.report.samples import Sample

CLIENTS = 32
WARM_UP = 100
TURNS = 5
"""Of each stored conversation; the first one starts it."""

BODY: dict[str, object] = {"model": "echo", "message": "Good morning, how are you today?"}
REQUEST = post("/api/v1/chat", BODY)


def run(plan: Plan) -> Iterator[Sample]:
    """The time of one request alone, and how many a second 32 clients get through."""
    for number in range(plan.scale.rounds):
        # The database lies where a disk is, not in the temporary folder: that may be memory.
        with tempfile.TemporaryDirectory(dir=plan.cache) as empty:
            port = process.free_port()
            database = f"sqlite:///{empty}/echo.db"
            env = own_settings(port, MODELS_DIR=empty, ENABLE_ECHO="true", DATABASE_URL=database)
            with process.running(own_command(), env, port, "/health"):
                for figure, value in _figures(port, plan.scale).items():
                    yield Sample(figure, OURS, number, value)


def _figures(port: int, scale: Scale) -> dict[str, float]:
    alone = _alone(port, scale.echo_requests)
    start, following = _stored(port, scale.echo_requests)
    return {
        "echo.p50": alone,
        "echo.start": start,
        "echo.start.more": start - alone,
        "echo.next": following,
        "echo.next.more": following - alone,
        "echo.rate": _crowd(port, scale.echo_seconds),
    }


def _alone(port: int, requests: int) -> float:
    """Median milliseconds of one request at a time."""
    with connect(port) as connection:
        times = [ask(connection, REQUEST)[0] for _ in range(WARM_UP + requests)]
    return median(times[WARM_UP:]) * 1000


def _stored(port: int, requests: int) -> tuple[float, float]:
    """Median milliseconds of starting a conversation, and of going on with it."""
    starts, following = [], []
    with connect(port) as connection:
        for _ in range((WARM_UP + requests) // TURNS):
            seconds, answer = ask(connection, post("/api/v4/chat", BODY))
            starts.append(seconds)
            more = BODY | {"conversation_id": json.loads(answer)["conversation_id"]}
            request = post("/api/v4/chat", more)
            following += [ask(connection, request)[0] for _ in range(TURNS - 1)]
    return median(starts) * 1000, median(following) * 1000


def _crowd(port: int, seconds: float) -> float:
    """Requests per second of 32 clients that ask again as soon as they are answered."""
    crowd = selectors.DefaultSelector()
    connections = [connect(port) for _ in range(CLIENTS)]
    for connection in connections:
        crowd.register(connection, selectors.EVENT_READ, connection)
        connection.sendall(REQUEST)
    answered, started = 0, time.perf_counter()
    while (now := time.perf_counter()) < started + seconds:
        for key, _ in crowd.select(1.0):
            receive(key.data)
            key.data.sendall(REQUEST)
            answered += 1
    for connection in connections:
        connection.close()
    return answered / (now - started)
