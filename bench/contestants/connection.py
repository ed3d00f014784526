"""Whole answers over a kept-open connection: as lean as a client in Python can be."""

from __future__ import annotations

import json
import socket
import time


def get(path: str) -> bytes:
    """A request, ready to send."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: dict[str, object]) -> bytes:
    """Likewise."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def connect(port: int) -> socket.socket:
    """A connection to a server of this machine."""
    return socket.create_connection(("127.0.0.1", port))


def ask(connection: socket.socket, request: bytes) -> tuple[float, bytes]:
    """Send a request and wait for the whole answer: seconds, and its body."""
    started = time.perf_counter()
    connection.sendall(request)
    body = receive(connection)
    return time.perf_counter() - started, body


def receive(connection: socket.socket) -> bytes:
    """Read one answer to its end; raises RuntimeError unless it is a 200."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(data.decode(errors="replace"))
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += _some(connection)
    return body


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ConnectionError("the server hung up")
    return data
