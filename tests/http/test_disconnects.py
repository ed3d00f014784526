"""Clients that hang up, on real sockets, in every phase of a request."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from app.web import sse
from tests.conftest import serving
from tests.suspending import suspend

LONG = "a " * 400_000
"""Keeps an engine busy until it is suspended."""

OPENAI = "/v1/chat/completions"
ANTHROPIC = "/v1/messages"
ROUTES = [
    "/api/v1/chat",
    "/api/v2/chat/stream",
    OPENAI,
    f"{OPENAI}?stream",
    ANTHROPIC,
    f"{ANTHROPIC}?stream",
]


def body_of(route: str, message: str) -> dict[str, object]:
    if not route.startswith("/v1/"):
        return {"message": message}
    path, _, how = route.partition("?")
    chat = {"messages": [{"role": "user", "content": message}], "stream": how != ""}
    return chat | ({"n": 2 if how == "several" else 1} if path == OPENAI else {"max_tokens": 10**7})


@contextmanager
def asking(
    client: httpx.Client, route: str, message: str, **options: str
) -> Iterator[socket.socket]:
    """Send a question; what happens to the answer is the caller's business."""
    body = json.dumps(body_of(route, message) | options).encode()
    head = (
        f"POST {route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as raw:
        raw.sendall(head.encode() + body)
        yield raw


def load(client: httpx.Client) -> tuple[int, int]:
    model = client.get("/health").json()["models"]["echo"]
    return model["active"], model["waiting"]


def wait_for(client: httpx.Client, wanted: tuple[int, int]) -> None:
    """Until active and waiting are as wanted."""
    deadline = time.monotonic() + 60
    while (found := load(client)) != wanted:
        assert time.monotonic() < deadline, f"active, waiting = {found}, wanted {wanted}"
        time.sleep(0.02)


def engines() -> set[psutil.Process]:
    return set(psutil.Process().children())


@pytest.fixture(scope="module")
def engine_and_client(empty_models: object) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """A server whose engine answers one request at a time, and takes its time."""
    before = engines()
    with serving(
        models_dir=empty_models,
        engine_slots=1,
        context_length=10**7,
        default_max_tokens=10**7,
        max_request_bytes=10**7,
        stream_patience_seconds=0,
    ) as client:
        client.post("/api/v1/chat", json={"message": "hi"})
        (engine,) = engines() - before
        yield engine, client


@pytest.fixture
def client(engine_and_client: tuple[psutil.Process, httpx.Client]) -> Iterator[httpx.Client]:
    _, client = engine_and_client
    yield client
    wait_for(client, (0, 0))
    assert client.post("/api/v1/chat", json={"message": "still here"}).is_success


@pytest.fixture
def engine(engine_and_client: tuple[psutil.Process, httpx.Client]) -> Iterator[psutil.Process]:
    """To be suspended: then a request makes no way, and only hanging up can end it."""
    engine, _ = engine_and_client
    yield engine
    engine.resume()


@pytest.mark.parametrize("route", ROUTES)
def test_hanging_up_while_the_answer_is_made(
    client: httpx.Client, engine: psutil.Process, route: str
) -> None:
    with asking(client, route, LONG):
        wait_for(client, (1, 0))
        suspend(engine)
    wait_for(client, (0, 0))


@pytest.mark.parametrize("route", ROUTES)
def test_hanging_up_in_the_waiting_line(
    client: httpx.Client, engine: psutil.Process, route: str
) -> None:
    with asking(client, route, LONG):
        wait_for(client, (1, 0))
        suspend(engine)
        with asking(client, route, "never said"):
            wait_for(client, (1, 1))
        wait_for(client, (1, 0))


@pytest.mark.parametrize("route", ROUTES)
def test_hanging_up_before_the_prompt_is_accepted(
    client: httpx.Client, engine: psutil.Process, route: str
) -> None:
    suspend(engine)
    with asking(client, route, "never said"):
        wait_for(client, (0, 1))
    wait_for(client, (0, 0))


def test_hanging_up_ends_several_answers(client: httpx.Client, engine: psutil.Process) -> None:
    with asking(client, f"{OPENAI}?several", LONG):
        wait_for(client, (1, 1))
        suspend(engine)
    wait_for(client, (0, 0))


def test_a_stream_begins_before_the_prompt_is_accepted_and_still_hangs_up(
    client: httpx.Client, engine: psutil.Process
) -> None:
    suspend(engine)
    with asking(client, "/api/v2/chat/stream", "never said") as raw:
        answer = b""
        while b"event: message" not in answer:
            answer += raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert load(client) == (0, 1)
    wait_for(client, (0, 0))


def test_silence_is_filled_with_comments(
    client: httpx.Client, engine: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.1)
    suspend(engine)
    with asking(client, "/api/v2/chat/stream", "one two") as raw:
        answer = b""
        while answer.count(b": keep-alive\n\n") < 2:
            answer += raw.recv(65536)
        engine.resume()
        while b"event: done" not in answer:
            answer += raw.recv(65536)


def test_reading_an_answer_to_its_end_is_not_hanging_up(client: httpx.Client) -> None:
    with asking(client, "/api/v2/chat/stream", "one two") as raw:
        answer = b""
        while b"event: done" not in answer:
            answer += raw.recv(65536)
    assert b"event: error" not in answer
