"""Clients that send or read slowly: those that mean well are served, the others are let go."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import APIRouter, Response
from starlette.types import Message

from app.web import body_limit
from app.web.bounds import BodyPace
from tests.conftest import serving
from tests.http import wire

pytestmark = pytest.mark.slow

T = TypeVar("T")

WINDOW = 2.0
"""Seconds for headers, and for a part of a body."""

KEPT_OPEN = 4.0
LARGE = 16 * 2**20
TOO_SLOW = (408, "request-timeout")
GET = wire.request("GET", "/health/live")
ASK = json.dumps({"message": "hello"}).encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def hasty(empty_models: Path) -> Iterator[httpx.Client]:
    with serving(
        routers=[router],
        models_dir=empty_models,
        context_length=10**6,
        default_max_tokens=10**6,
        header_timeout_seconds=WINDOW,
        body_window_seconds=WINDOW,
        keep_alive_seconds=KEPT_OPEN,
    ) as client:
        yield client


@pytest.fixture(scope="module")
def patient(empty_models: Path) -> Iterator[httpx.Client]:
    """A server whose windows no busy machine misses."""
    windows: dict[str, Any] = {"header_timeout_seconds": 120, "body_window_seconds": 120}
    with serving(models_dir=empty_models, **windows) as client:
        yield client


router = APIRouter()


@router.get("/large")
async def large() -> Response:
    return Response(bytes(LARGE))


def together(check: Callable[[T], None], cases: Sequence[T]) -> None:
    """Check all cases at the same time: most of it is waiting."""
    with ThreadPoolExecutor(len(cases)) as threads:
        list(threads.map(check, cases))


# ---------------------------------------------------------------- headers


def test_a_silent_connection_is_closed_without_a_word(hasty: httpx.Client) -> None:
    assert wire.talk(hasty) is None


def test_half_a_head_is_answered(hasty: httpx.Client) -> None:
    def check(sent: bytes) -> None:
        with wire.connected(hasty) as raw:
            wire.send(raw, [sent])
            found = wire.answer(raw)
            assert wire.problem(found) == TOO_SLOW
            assert found is not None
            assert "HEADER_TIMEOUT_SECONDS" in found.json()["detail"]
            assert wire.closed(raw)

    together(check, [b"G", GET[:-2], GET[:-1], GET[:20]])


def test_a_byte_now_and_then_wins_no_time(hasty: httpx.Client) -> None:
    with wire.connected(hasty) as raw:
        wire.send(raw, [GET[:-2] + b"X-A: "])
        wire.trickle(raw, b"a")
        assert wire.problem(wire.answer(raw)) == TOO_SLOW


def test_the_next_head_has_the_same_time(hasty: httpx.Client) -> None:
    with wire.connected(hasty) as raw:
        wire.send(raw, [GET])
        assert wire.answer(raw)
        wire.send(raw, [GET[:-2] + b"X-A: "])
        wire.trickle(raw, b"a")
        assert wire.problem(wire.answer(raw)) == TOO_SLOW


def test_a_head_in_pieces_is_taken(patient: httpx.Client) -> None:
    found = wire.talk(patient, GET[:9], GET[9:30], GET[30:], pause=0.1)
    assert found is not None
    assert found.status == 200


# ---------------------------------------------------------------- bodies

FORM = b"Content-Type: multipart/form-data; boundary=line\r\nContent-Length: 5000\r\n"
LONG = wire.JSON + b"Content-Length: 5000\r\n"


SLOW_BODIES: list[tuple[str, bytes, bytes, bytes]] = [
    ("/api/v1/chat", LONG, b"", b""),
    ("/api/v1/chat", LONG + b"Expect: 100-continue\r\n", b"", b""),
    ("/api/v1/chat", LONG, b"", b" "),
    ("/api/v4/chat", wire.JSON + CHUNKED, b"", b"1\r\n \r\n"),
    ("/api/v4/chat", wire.JSON + CHUNKED, b"ff;", b"a"),
    ("/api/v5/chat", LONG, b"", b" "),
    ("/api/v5/vision/chat/stream", FORM, b"--line\r\n", b"A"),
    ("/api/v5/models/echo/plan", LONG, b"", b" "),
]
"""Path and headers, how the body begins, and what then comes now and then."""


def test_a_body_that_comes_too_slowly(hasty: httpx.Client) -> None:
    def check(case: tuple[str, bytes, bytes, bytes]) -> None:
        path, headers, begun, piece = case
        with wire.connected(hasty) as raw:
            wire.send(raw, [wire.request("POST", path, headers=headers) + begun])
            wire.trickle(raw, piece)
            data = wire.received(raw).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            found = wire.answer(raw, data)
            assert wire.problem(found) == TOO_SLOW, case
            assert found is not None
            assert "MIN_BODY_BYTES_PER_SECOND" in found.json()["detail"]
            assert wire.closed(raw)

    together(check, SLOW_BODIES)


async def test_a_body_that_comes_steadily_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of its own: each window but just brings what it must."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(body_limit, "time", SimpleNamespace(monotonic=lambda: clock.now))

    async def steady() -> Message:
        clock.now += 0.9 * WINDOW
        return {"type": "http.request", "body": bytes(200), "more_body": True}

    body = body_limit._Timely(steady, BodyPace(least=100, seconds=WINDOW))
    for _ in range(10):
        assert len((await body.receive())["body"]) == 200
    assert clock.now > 8 * WINDOW


def test_a_body_in_pieces_is_taken(patient: httpx.Client) -> None:
    for path in ("/api/v1/chat", "/api/v5/chat"):
        whole = wire.request("POST", path, ASK)
        found = wire.talk(patient, whole[: -len(ASK)], ASK[:5], ASK[5:], pause=0.1)
        assert found is not None
        assert found.status == 200, found.body


REFUSED = wire.request("POST", "/nowhere", headers=LONG)


def test_what_was_refused_is_read_on(patient: httpx.Client) -> None:
    """So that a client which sends first and reads later sees why."""
    with wire.connected(patient) as raw:
        wire.send(raw, [REFUSED])
        assert wire.problem(wire.answer(raw)) == (404, "not-found")
        wire.send(raw, [b" " * 5000, GET])
        assert wire.answer(raw)


def test_what_was_refused_is_not_read_for_ever(hasty: httpx.Client) -> None:
    with wire.connected(hasty) as raw:
        wire.send(raw, [REFUSED])
        assert wire.problem(wire.answer(raw)) == (404, "not-found")
        wire.trickle(raw, b" ")
        assert wire.closed(raw)


# ---------------------------------------------------------------- between requests, and reading


def a_connection_stays_open_between_requests(hasty: httpx.Client) -> None:
    with wire.connected(hasty) as raw:
        for _ in range(2):
            wire.send(raw, [GET])
            assert wire.answer(raw)
            time.sleep(KEPT_OPEN / 4)
        assert wire.closed(raw)  # but not for ever


def a_stream_may_be_read_slowly(hasty: httpx.Client) -> None:
    body = json.dumps({"message": "word " * 190_000}).encode()
    with wire.connected(hasty, reads=4096) as raw:
        wire.send(raw, [wire.request("POST", "/api/v2/chat/stream", body)])
        text = wire.some(raw)
        time.sleep(1.25 * KEPT_OPEN)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        while b"event: done" not in text[-70_000:]:
            text += wire.some(raw)
    assert text.count(b"word") == 190_000


def an_answer_that_nobody_reads_is_given_up(hasty: httpx.Client) -> None:
    """It is complete for the application, but more than the system takes in."""
    with wire.connected(hasty, reads=4096) as raw:
        wire.send(raw, [wire.request("GET", "/large")])
        time.sleep(2.25 * KEPT_OPEN)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        read = 0
        while more := wire.received(raw):
            read += len(more)
    assert 0 < read < LARGE


def an_answer_may_be_read_slowly(hasty: httpx.Client) -> None:
    with wire.connected(hasty, reads=4096) as raw:
        wire.send(raw, [wire.request("GET", "/large")])
        read, paused = 0, 0.0
        while read < LARGE:
            read += len(wire.some(raw))
            if paused < 2 * KEPT_OPEN and read > LARGE / 20 * paused:
                time.sleep(0.5)
                paused += 0.5
            elif paused >= 2 * KEPT_OPEN:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)


def test_who_reads_slowly_or_is_idle_may_stay_but_not_for_ever(hasty: httpx.Client) -> None:
    checks = [
        a_connection_stays_open_between_requests,
        a_stream_may_be_read_slowly,
        an_answer_may_be_read_slowly,
        an_answer_that_nobody_reads_is_given_up,
    ]
    together(lambda check: check(hasty), checks)
