"""HTTP as bytes on a socket, for what no client library would send."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def connected(client: httpx.Client, *, reads: int = 0) -> Iterator[socket.socket]:
    """A connection to the server that ``client`` talks to, which takes in so much unread."""
    with socket.socket() as raw:
        if reads:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, reads)
        raw.settimeout(60)
        raw.connect((client.base_url.host, client.base_url.port or 80))
        yield raw


def request(method: str, path: str, body: bytes = b"", headers: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    kind = JSON if body else b""
    return (
        f"{method} {path} HTTP/1.1\r\n".encode() + HOST + kind + headers + length + b"\r\n" + body
    )


def send(raw: socket.socket, pieces: Iterable[bytes], pause: float = 0) -> None:
    """Send all of it, or as much as the server takes before it hangs up."""
    try:
        for piece in pieces:
            raw.sendall(piece)
            time.sleep(pause)
    except OSError:
        pass  # what it answered is still to be read


def trickle(raw: socket.socket, piece: bytes) -> None:
    """Send it again and again until the server says something or hangs up, which it must."""
    try:
        for _ in range(3000):  # a minute
            if select.select([raw], [], [], 0.02)[0]:
                return
            raw.sendall(piece)
    except OSError:
        return
    raise AssertionError("the server waits for ever as long as something comes")


def answer(raw: socket.socket, data: bytes = b"") -> Answer | None:
    """The next answer, which has a length; None when the server hung up without one."""
    found, _ = answer_and_rest(raw, data)
    return found


def answer_and_rest(raw: socket.socket, data: bytes = b"") -> tuple[Answer | None, bytes]:
    while b"\r\n\r\n" not in data:
        if not (more := received(raw)):
            assert not data, data
            return None, b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        body += some(raw)
    return Answer(int(status.split(" ")[1]), headers, body[:length]), body[length:]


def some(raw: socket.socket) -> bytes:
    """What comes next, which must be something."""
    data = received(raw)
    assert data, "cut off"
    return data


def received(raw: socket.socket) -> bytes:
    try:
        return raw.recv(65536)
    except ConnectionResetError:
        return b""


def closed(raw: socket.socket) -> bool:
    """Whether the server closes the connection, and says nothing more."""
    return received(raw) == b""


def talk(client: httpx.Client, *pieces: bytes, pause: float = 0) -> Answer | None:
    """Send pieces on a new connection and read the answer."""
    with connected(client) as raw:
        send(raw, pieces, pause)
        return answer(raw)


def problem(found: Answer | None) -> tuple[int, str]:
    """Status and code of a problem object that is whole."""
    assert found is not None
    assert found.headers["content-type"] == "application/problem+json"
    body = found.json()
    assert body["status"] == found.status
    assert body["title"]
    assert body["detail"].endswith((".", ")"))
    assert body["request_id"] == found.headers["x-request-id"]
    return found.status, body["code"]
