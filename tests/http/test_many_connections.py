"""As many connections as there can be, all of them somebody else's: a good client is served."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.web.waiting import Waiting
from tests.conftest import serving
from tests.http import wire
from tests.suspending import standing_still

MOST = 10
GET = wire.request("GET", "/health/live")
HELLO = json.dumps({"message": "hello"}).encode()
ASK = wire.request("POST", "/api/v1/chat", HELLO)
ASK_STREAM = wire.request("POST", "/api/v2/chat/stream", HELLO)


@pytest.fixture(scope="module")
def server(empty_models: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    before = set(psutil.Process().children())
    bounds: dict[str, Any] = {"max_connections": MOST, "engine_slots": 4}
    # A stream begins at once, which shows that its request has been read.
    with serving(models_dir=empty_models, stream_patience_seconds=0, **bounds) as client:
        client.headers["Connection"] = "close"
        assert client.post("/api/v1/chat", json={"message": "wake up"}).status_code == 200
        (engine,) = set(psutil.Process().children()) - before
        yield client, engine


@pytest.fixture
def crowded(server: tuple[httpx.Client, psutil.Process]) -> httpx.Client:
    return server[0]


def opened(stack: ExitStack, client: httpx.Client, sent: bytes, count: int) -> list[socket.socket]:
    """Connections on which that was sent, and nothing more will be; nobody reads them."""
    connections = []
    for _ in range(count):
        raw = stack.enter_context(wire.connected(client, reads=4096))
        wire.send(raw, [sent])
        connections.append(raw)
    return connections


def wait_until_alone(client: httpx.Client) -> None:
    """Wait until the server has let go of what earlier tests left to it."""
    port = client.base_url.port
    deadline = time.monotonic() + 60
    while any(
        each.laddr.port == port and each.status != psutil.CONN_LISTEN
        for each in psutil.Process().net_connections("tcp")
    ):
        assert time.monotonic() < deadline, "the server holds on to connections that are closed"
        time.sleep(0.01)


def read_until(raw: socket.socket, word: bytes) -> None:
    """Read as far as that."""
    text = b""
    while word not in text:
        text += wire.some(raw)


def served(client: httpx.Client) -> bool:
    """Whether a client gets its answer, at the latest when it comes back for a minute."""
    for _ in range(600):
        if client.post("/api/v5/chat", json={"message": "hello"}).status_code == 200:
            return True
        time.sleep(0.1)  # requests of others are being answered just now
    return False


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nX-A: ",
        ASK[:-5],
        wire.request("POST", "/nowhere", headers=b"Content-Length: 5\r\n"),
        GET,
        b"bad\r\n\r\n",
        wire.request("GET", "/assets/swagger-ui-bundle.js") * 8,
        wire.request("GET", "/api/v5/openapi.json") * 60,
        wire.request("GET", "/assets/swagger-ui-bundle.js", headers=b"Connection: close\r\n"),
    ],
    ids=["silence", "heads", "bodies", "refused", "idle", "broken", "files", "pages", "ending"],
)
def test_a_good_client_is_served_among_many_others(crowded: httpx.Client, sent: bytes) -> None:
    with ExitStack() as stack:
        opened(stack, crowded, sent, 3 * MOST)
        assert served(crowded)
        assert crowded.post("/api/v5/chat", json={"message": "hello"}).status_code == 200


def test_who_was_silent_longest_makes_room(crowded: httpx.Client) -> None:
    wait_until_alone(crowded)  # a file that is still being read for someone makes no room
    with ExitStack() as stack:
        first, *others = opened(stack, crowded, b"", MOST)
        wire.send(others[-1], [GET])
        assert wire.answer(others[-1])  # by now the server has accepted them all
        wire.send(first, [GET[:-2]])  # not silent any more
        wire.send(others[-1], [GET])
        assert wire.answer(others[-1])  # by now it has read that
        assert crowded.get("/health/live").status_code == 200
        assert wire.closed(others[0])
        for raw in (first, *others[1:]):
            wire.send(raw, [b"\r\n" if raw is first else GET])
            assert wire.answer(raw)


def test_answers_are_not_broken_off_for_others(
    server: tuple[httpx.Client, psutil.Process],
) -> None:
    """With all connections being answered, a new one is told to come back."""
    client, engine = server
    with ExitStack() as stack:
        with standing_still(engine):
            asked = opened(stack, client, ASK_STREAM, MOST)
            for raw in asked:
                read_until(raw, b"event: message")
            (late,) = opened(stack, client, b"", 1)
            refused = wire.answer(late)
            assert wire.problem(refused) == (503, "server-full")
            assert refused is not None
            assert refused.headers["retry-after"] == "5"
            assert wire.closed(late)
        for raw in asked:
            read_until(raw, b"event: done")
    assert client.get("/health/live").status_code == 200


def test_refused_connections_are_counted(crowded: httpx.Client) -> None:
    wire.talk(crowded, b"bad\r\n\r\n")
    assert 'sllm_http_requests_total{method="other",status="400"}' in crowded.get("/metrics").text


class Held:
    """A connection for which bytes are kept."""

    def __init__(self) -> None:
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_what_is_kept_of_all_together_has_a_bound() -> None:
    waiting = Waiting(most_bytes=100)
    idle, old, busy, new = (Held() for _ in range(4))
    waiting.add(idle, 0)
    waiting.add(old, 40)
    waiting.add(busy, 40)
    waiting.remove(busy)
    waiting.add(new, 60)
    assert not old.dropped
    waiting.add(new, 61)
    assert [each.dropped for each in (idle, old, busy, new)] == [False, True, False, False]
    assert waiting.drop_oldest()
    assert idle.dropped
    assert waiting.drop_oldest()
    assert not waiting.drop_oldest()
