"""A line to a server, which can be cut: a relay that passes bytes on, connection by connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

PIECE = 2**16


class Line:
    """A relay to the server at an address.

    ``heads`` are the requests that went through, as far as their headers. ``losing`` is to how many
    POST requests the answer will be lost: the connection is cut as it begins. ``room`` is how many
    bytes of answers to POST requests go through before the whole line is cut.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._server = (str(parts.hostname), int(parts.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heads: list[str] = []
        self.losing = 0
        self.room = 2**62

    def cut(self) -> None:
        """Cut all connections, and let none be made."""
        self._is_cut = True
        self._cut(*self._open)

    def mend(self) -> None:
        """Let connections be made again."""
        self.room = 2**62
        self._is_cut = False

    def sent(self, name: str) -> list[str]:
        """The values of a header in all requests that had it, in their order."""
        lines = [line.partition(": ") for head in self.heads for line in head.split("\r\n")]
        return [value for found, _, value in lines if found.lower() == name.lower()]

    def run(self) -> None:
        """Take connections until the line is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_cut:
                    client.close()
                else:
                    self._connect(client)

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _connect(self, client: socket.socket) -> None:
        ends = (client, socket.create_connection(self._server))
        self._open.update(ends)
        posted = threading.Event()
        for work in (self._ask, self._answer):
            threading.Thread(target=work, args=(*ends, posted), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, posted: threading.Event) -> None:
        with suppress(OSError):
            while piece := client.recv(PIECE):
                if piece.startswith((b"GET ", b"POST ")):
                    self.heads.append(piece.partition(b"\r\n\r\n")[0].decode("latin-1"))
                    (posted.set if piece.startswith(b"POST ") else posted.clear)()
                server.sendall(piece)
        self._cut(client, server)

    def _answer(
        self, client: socket.socket, server: socket.socket, posted: threading.Event
    ) -> None:
        with suppress(OSError):
            while piece := server.recv(PIECE):
                if posted.is_set() and not self._passes(len(piece)):
                    break
                client.sendall(piece)
        self._cut(client, server)

    def _passes(self, size: int) -> bool:
        """Whether so many bytes of an answer to a POST go through."""
        if self.losing:
            self.losing -= 1
            return False
        self.room -= size
        if self.room < 0:
            self.cut()
        return self.room >= 0

    def _cut(self, *ends: socket.socket) -> None:
        for end in ends:
            self._open.discard(end)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def line(address: str) -> Iterator[Line]:
    """A line to the server at an address."""
    made = Line(address)
    threading.Thread(target=made.run, daemon=True).start()
    try:
        yield made
    finally:
        made.close()
