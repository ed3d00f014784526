"""Everything but the model: whole answers of the echo engine over kept-open connections."""

from __future__ import annotations

import contextlib
import json
import selectors
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles

from bench.contestants import process
from bench.contestants.connection import ask, connect, post, receive
from bench.contestants.servers import own_command, own_settings
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
        for name, root in plan.checkouts():
            with serving(root, plan.cache) as port:
                for figure, value in _figures(port, plan.scale).items():
                    yield Sample(figure, name, number, value)


@contextlib.contextmanager
def serving(root: Path, disk: Path, **settings: str) -> Iterator[int]:
    """Port of the server of a checkout with the echo engine, and with these settings.

    Its database lies on ``disk``, as the temporary folder may be memory.
    """
    with tempfile.TemporaryDirectory(dir=disk) as empty:
        port = process.free_port()
        database = f"sqlite:///{empty}/echo.db"
        more = {"MODELS_DIR": empty, "ENABLE_ECHO": "true", "DATABASE_URL": database} | settings
        with process.running(own_command(), own_settings(port, root, **more), port, "/health"):
            yield port


def _figures(port: int, scale: Scale) -> dict[str, float]:
    single = alone(port, scale.echo_requests)
    starts, following = _stored(port, scale.echo_requests)
    return {
        "echo.p50": single,
        "echo.start": median(starts),
        "echo.start.more": median(starts) - single,
        "echo.next": median(following),
        "echo.next.more": median(following) - single,
        "echo.stored.p99": quantiles([*starts, *following], n=100)[98],
        "echo.rate": crowd(port, scale.echo_seconds),
    }


def alone(port: int, requests: int) -> float:
    """Median milliseconds of one request at a time."""
    with connect(port) as connection:
        times = [ask(connection, REQUEST)[0] for _ in range(WARM_UP + requests)]
    return median(times[WARM_UP:]) * 1000


def median_milliseconds(call: Callable[[], object], requests: int) -> float:
    """The same of any call."""
    times = []
    for _ in range(WARM_UP + requests):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times[WARM_UP:]) * 1000


def _stored(port: int, requests: int) -> tuple[list[float], list[float]]:
    """Milliseconds of starting a conversation, and of going on with it."""
    starts, following = [], []
    with connect(port) as connection:
        for _ in range((WARM_UP + requests) // TURNS):
            seconds, answer = ask(connection, post("/api/v4/chat", BODY))
            starts.append(seconds * 1000)
            more = BODY | {"conversation_id": json.loads(answer)["conversation_id"]}
            request = post("/api/v4/chat", more)
            following += [ask(connection, request)[0] * 1000 for _ in range(TURNS - 1)]
    return starts, following


def crowd(port: int, seconds: float) -> float:
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
