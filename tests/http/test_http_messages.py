"""Requests that break the rules of HTTP, or keep them in a way that costs a server dearly."""

from __future__ import annotations

import itertools
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from h11 import _abnf

from app.web.h11_patterns import CHUNK, HEADER
from tests.cpu_time import unit
from tests.http import wire

ASK = json.dumps({"message": "hello"}).encode()
START = b"POST /api/v1/chat HTTP/1.1\r\n" + wire.HOST + wire.JSON
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /health/live HTTP/1.1\r\n" + wire.HOST
KIB = 1024

TOO_LARGE = (431, "headers-too-large")
MALFORMED = (400, "malformed-request")


def endless(piece: bytes) -> list[bytes]:
    """20 MB of it, which never end the headers."""
    return [piece * (KIB * KIB // len(piece))] * 20


@pytest.mark.parametrize(
    "pieces",
    [
        [GET, *endless(b"X-A: " + b"a" * 1000 + b"\r\n")],
        [GET, *endless(b"a:b\r\n")],
        [GET, b"X-A: ", *endless(b"a")],
        [GET, b"X-A: a\r\n", *endless(b" b\r\n")],
        [GET, *endless(b"a")],
        [b"GET /", *endless(b"a")],
        [b"GET /?", *endless(b"a=b&")],
        endless(b"GET"),
        [GET + b"X-A: " + b"a" * 65 * KIB + b"\r\n\r\n"],
        [GET + b"a:b\r\n" * 14 * KIB + b"\r\n"],
        [b"GET /health/live?" + b"a" * 65 * KIB + b" HTTP/1.1\r\n" + wire.HOST + b"\r\n"],
        [GET + b"Cookie: " + b"a" * 200 * KIB + b"\r\n\r\n"],
    ],
    ids=range(12),
)
def test_headers_have_a_bound(echo: httpx.Client, pieces: list[bytes]) -> None:
    with wire.connected(echo) as raw:
        wire.send(raw, pieces)
        found = wire.answer(raw)
        assert wire.problem(found) == TOO_LARGE
        assert "MAX_HEADER_BYTES" in found.json()["detail"] if found else False
        assert wire.closed(raw)


def test_many_and_large_headers_pass_within_it(echo: httpx.Client) -> None:
    for headers in (b"X-A: " + b"a" * 60 * KIB + b"\r\n", b"a:b\r\n" * 5000):
        found = wire.talk(echo, GET + headers + b"\r\n")
        assert found is not None
        assert found.status == 200, found.body


def test_a_body_after_large_headers_is_no_header(echo: httpx.Client) -> None:
    body = json.dumps({"message": "a" * 100 * KIB}).encode()
    head = wire.request("POST", "/api/v1/chat", body, b"X-A: " + b"a" * 60 * KIB + b"\r\n")
    found = wire.talk(echo, head)
    assert found is not None
    assert found.status == 200


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", MALFORMED),  # TLS
        (b"hello\r\n\r\n", MALFORMED),
        (b"GET /\r\n\r\n", MALFORMED),
        (b"GET / HTTP/0.9\r\n\r\n", (505, "http-version-not-supported")),
        (b"GET / HTTP/9.9\r\n\r\n", (505, "http-version-not-supported")),
        (b"GET / HTTP/1.1\r\n\r\n", MALFORMED),  # without Host
        (b"GET / HTTP/1.1\r\n" + wire.HOST * 2 + b"\r\n", MALFORMED),
        (b"GET /\xff HTTP/1.1\r\n" + wire.HOST + b"\r\n", MALFORMED),
        (GET + b"X A: b\r\n\r\n", MALFORMED),
        (GET + b"X-A : b\r\n\r\n", MALFORMED),
        (GET + b"X-A: \0\r\n\r\n", MALFORMED),
        (START + b"Content-Length: -1\r\n\r\n", MALFORMED),
        (START + b"Content-Length: 1e3\r\n\r\n", MALFORMED),
        (START + b"Content-Length: +5\r\n\r\nhello", MALFORMED),
        (START + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", MALFORMED),
        (START + b"Content-Length: 99999999999999999999\r\n\r\n", (413, "request-too-large")),
        (START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", MALFORMED),
        (START + b"Content-Length: 5, 6\r\n\r\nhello", MALFORMED),
        (START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", MALFORMED),
        (START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", MALFORMED),
        (START.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n", MALFORMED),
        (START + b"Transfer-Encoding: gzip\r\n\r\n", (501, "transfer-coding-not-supported")),
        (START + b"Transfer-Encoding: \x0bchunked\r\n\r\n", MALFORMED),
        (
            START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            (501, "transfer-coding-not-supported"),
        ),
        (CHUNKED + b"x\r\n", MALFORMED),
        (CHUNKED + b"-1\r\n", MALFORMED),
        (CHUNKED + b"0x5\r\nhello\r\n", MALFORMED),
        (CHUNKED + b"f" * 30 + b"\r\n", MALFORMED),
        (CHUNKED + b"5\r\nhello!\r\n", MALFORMED),
        (CHUNKED + b"5;a\nb\r\nhello\r\n", MALFORMED),
        (CHUNKED + b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", MALFORMED),
        (b"CONNECT localhost:443 HTTP/1.1\r\n" + wire.HOST + b"\r\n", (404, "not-found")),
        (b"OPTIONS * HTTP/1.1\r\n" + wire.HOST + b"\r\n", (404, "not-found")),
    ],
    ids=range(33),
)
def test_what_is_no_request_is_refused_in_words(
    echo: httpx.Client, sent: bytes, expected: tuple[int, str]
) -> None:
    assert wire.problem(wire.talk(echo, sent)) == expected
    assert echo.get("/health/live").status_code == 200


def test_an_absolute_target_means_its_path(echo: httpx.Client) -> None:
    for target in (b"http://localhost/health/live", b"HTTP://127.0.0.1:1/health/live?x=http://y"):
        found = wire.talk(echo, b"GET " + target + b" HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert found is not None
        assert found.status == 200, found.body


def test_an_absolute_target_names_the_host(echo: httpx.Client) -> None:
    sent = b"GET http://evil.example/api/v1/models HTTP/1.1\r\n" + wire.HOST + b"\r\n"
    assert wire.problem(wire.talk(echo, sent)) == (421, "host-not-allowed")


# ---------------------------------------------------------------- what costs time

BLANKS = b" " * 60_000
SLOW = {
    "blanks before NUL": GET + b"X-A:" + BLANKS + b"\0\r\n\r\n",
    "blanks before a line feed": CHUNKED + b"1;" + BLANKS + b"\nx\r\na\r\n",
    "blanks after a size": CHUNKED + b"1" + BLANKS + b"x\r\na\r\n",
    "blanks in a trailer": CHUNKED + b"0\r\nX-A:" + BLANKS + b"\x0b\r\n\r\n",
    "words before NUL": GET + b"X-A:" + b"a " * 30_000 + b"\0\r\n\r\n",
    "a name without colon": GET + b"a" * 60_000 + b"\r\n\r\n",
    "If-Match": GET + b"If-Match: " + b'"a", ' * 10_000 + b"x\r\n\r\n",
    "tiny chunks": CHUNKED + b"1\r\n \r\n" * 40_000 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_no_request_stops_the_others(echo: httpx.Client, sent: bytes) -> None:
    """Some of them took ten seconds of the event loop, which are hundreds of units."""
    began = time.process_time()
    with wire.connected(echo) as raw:
        wire.send(raw, [sent])
        assert echo.get("/health/live").status_code == 200
        assert time.process_time() - began < 80 * unit()
        assert wire.answer(raw) is not None


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (b"1;" + b"a" * KIB, TOO_LARGE),
        (b"0" * KIB, TOO_LARGE),
        (b"0\r\n" + b"a:b\r\n" * 300, TOO_LARGE),
    ],
)
def test_framing_of_a_body_has_a_bound(
    echo: httpx.Client, part: bytes, expected: tuple[int, str]
) -> None:
    pieces = [CHUNKED, part, *[part[3:]] * 2000]
    assert wire.problem(wire.talk(echo, *pieces)) == expected


def test_a_body_of_tiny_chunks_is_refused(echo: httpx.Client) -> None:
    found = wire.talk(echo, CHUNKED, *[b"1\r\n \r\n" * 10_000] * 10)
    assert wire.problem(found) == MALFORMED


def test_a_body_of_small_chunks_is_taken(echo: httpx.Client) -> None:
    text = json.dumps({"message": "ab " * 3000}).encode()
    chunks = [b"3\r\n%s\r\n" % text[at : at + 3] for at in range(0, len(text) // 3 * 3, 3)]
    rest = text[len(text) // 3 * 3 :]
    last = b"%x\r\n%s\r\n" % (len(rest), rest) if rest else b""
    found = wire.talk(echo, CHUNKED, *chunks, last, b"0;a=b\r\nX-Trailer: c\r\n\r\n")
    assert found is not None
    assert found.status == 200


def test_requests_sent_at_once_are_answered_in_order(echo: httpx.Client) -> None:
    ids = [f"r{number}" for number in range(500)]
    sent = b"".join(GET + f"X-Request-ID: {each}\r\n\r\n".encode() for each in ids)
    with ThreadPoolExecutor(1) as sender, wire.connected(echo) as raw:
        sending = sender.submit(wire.send, raw, [sent])
        answered, rest = [], b""
        for _ in ids:
            found, rest = wire.answer_and_rest(raw, rest)
            assert found is not None
            answered.append(found.headers["x-request-id"])
        sending.result()
    assert answered == ids


def test_a_bad_request_among_good_ones_ends_them(echo: httpx.Client) -> None:
    with wire.connected(echo) as raw:
        wire.send(raw, [GET + b"\r\n" + GET + b"bad\r\n\r\n" + GET + b"\r\n"])
        first, rest = wire.answer_and_rest(raw)
        assert first is not None
        assert first.status == 200
        assert wire.problem(wire.answer(raw, rest)) == MALFORMED
        assert wire.closed(raw)


def test_a_bad_chunk_in_a_stream_cuts_it(echo: httpx.Client) -> None:
    """The answer has begun, so there is no place for another one."""
    early = b"POST /nowhere HTTP/1.1\r\n" + wire.HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    with wire.connected(echo) as raw:
        wire.send(raw, [early])
        found = wire.answer(raw)
        assert found is not None
        assert found.status == 404
        wire.send(raw, [b"x\r\n"])
        assert wire.closed(raw)


LINES = [
    b"X",
    b"-",
    b":",
    b" ",
    b"\t",
    b"a",
    b"\xff",
    b"\0",
    b"\x0b",
    b"\r",
    b"1",
    b"f",
    b";",
    b"=",
]


def test_the_patterns_take_what_those_of_h11_take() -> None:
    """All lines of four of these pieces; only a chunk extension may not hold a lone CR any more."""
    header = re.compile(_abnf.header_field.encode())
    chunk = re.compile(_abnf.chunk_header.encode())
    for pieces in itertools.product(LINES, repeat=4):
        line = b"".join(pieces)
        ours, theirs = HEADER.fullmatch(line), header.fullmatch(line)
        assert (ours and ours.groupdict()) == (theirs and theirs.groupdict()), line
        ours, theirs = (
            CHUNK.fullmatch(b"1" + line + b"\r\n"),
            chunk.fullmatch(b"1" + line + b"\r\n"),
        )
        assert b"\r" in line or bool(ours) == bool(theirs), line
        if ours and theirs:
            assert ours["chunk_size"] == theirs["chunk_size"]
