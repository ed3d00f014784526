"""Everything but the model: whole answers of the echo engine over kept-open connections."""

from __future__ import annotations

import json
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator
from statistics import median

from bench import process
from bench.plan import Plan
from bench.samples import Sample
from bench.servers import OURS, own_command, own_settings

CLIENTS = 32
WARM_UP = 100
BODY = json.dumps({"model": "echo", "message": "Good morning, how are you today?"}).encode()
REQUEST = (
    b"POST /api/v1/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


def run(plan: Plan) -> Iterator[Sample]:
    """The time of one request alone, and how many a second 32 clients get through."""
    for number in range(plan.scale.rounds):
        port = process.free_port()
        with tempfile.TemporaryDirectory() as empty:
            env = own_settings(port, MODELS_DIR=empty, ENABLE_ECHO="true")
            with process.running(own_command(), env, port, "/health"):
                yield Sample("echo.p50", OURS, number, _alone(port, plan.scale.echo_requests))
                yield Sample("echo.rate", OURS, number, _crowd(port, plan.scale.echo_seconds))


def _alone(port: int, requests: int) -> float:
    """Median milliseconds of one request at a time."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(WARM_UP + requests):
            started = time.perf_counter()
            connection.sendall(REQUEST)
            _receive(connection)
            times.append(time.perf_counter() - started)
    return median(times[WARM_UP:]) * 1000


def _crowd(port: int, seconds: float) -> float:
    """Requests per second of 32 clients that ask again as soon as they are answered."""
    crowd = selectors.DefaultSelector()
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]
    for connection in sockets:
        crowd.register(connection, selectors.EVENT_READ, connection)
        connection.sendall(REQUEST)
    answered, started = 0, time.perf_counter()
    while (now := time.perf_counter()) < started + seconds:
        for key, _ in crowd.select(1.0):
            _receive(key.data)
            key.data.sendall(REQUEST)
            answered += 1
    for connection in sockets:
        connection.close()
    return answered / (now - started)


def _receive(connection: socket.socket) -> None:
    """Read one answer to its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(data.decode(errors="replace"))
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += _some(connection)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ConnectionError("the server hung up")
    return data
