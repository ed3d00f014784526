"""A web server of a few lines that does what it is told, byte by byte, and notes who came."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Serve = Callable[[socket.socket], None]
"""Is given a connection whose request has been read."""


@dataclass
class Web:
    """Where the server is, and what it was asked."""

    port: int
    requests: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def web(
    pages: dict[str, Serve], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Serve pages by their path until the block ends."""
    with socket.create_server((address, 0)) as listener:
        server = Web(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, server, pages, tls), daemon=True).start()
        try:
            yield server
        finally:
            server.over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(
    listener: socket.socket, server: Web, pages: dict[str, Serve], tls: ssl.SSLContext | None
) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(
                target=_answer, args=(connection, server, pages, tls), daemon=True
            ).start()


def _answer(
    connection: socket.socket, server: Web, pages: dict[str, Serve], tls: ssl.SSLContext | None
) -> None:
    with suppress(OSError), connection:
        line = tls.wrap_socket(connection, server_side=True) if tls else connection
        with line:
            line.settimeout(60)
            asked = line.recv(2**16).decode("latin-1")
            server.requests.append(asked)
            pages[asked.split(" ")[1]](line)


def page(content: bytes, *headers: str, status: str = "200 OK", mime: str = "image/png") -> Serve:
    """An answer as it should be, with further headers."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {mime}", f"Content-Length: {len(content)}"]
    return raw("\r\n".join([*lines, *headers, "", ""]).encode() + content)


def raw(answer: bytes) -> Serve:
    """Exactly these bytes, then the end of the connection."""
    return lambda line: line.sendall(answer)


def redirect(location: str, status: str = "302 Found") -> Serve:
    return raw(f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


def endless(head: bytes, block: bytes, seconds: float = 0.0) -> Serve:
    """A head, and then the same block for ever."""

    def serve(line: socket.socket) -> None:
        line.sendall(head)
        pause = threading.Event()
        while True:
            line.sendall(block)
            pause.wait(seconds)

    return serve


def silent(line: socket.socket) -> None:
    """Say nothing until the other side has gone."""
    line.recv(1)
