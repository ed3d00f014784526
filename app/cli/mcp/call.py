"""One message of a host: a POST to ``/mcp``, whose answer goes back line by line."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from app.cli.mcp.handshake import Message, meta_of, protocol_version
from app.cli.mcp.local_files import with_pictures
from app.cli.mcp.output import Output
from app.cli.mcp.target import Target, Unreachable

PROGRESS_STEP = 0.001
"""Between reports while a server starts: those of the server itself begin with 1."""


class Call:
    """A message that is passed on; ``agreed`` is the revision of ``initialize``, if there was one.

    Cancelling it closes the connection, which stops the tool, and says nothing more about it.
    """

    def __init__(
        self, message: Message, agreed: str | None, target: Target, output: Output
    ) -> None:
        self._message = message
        self._agreed = agreed
        self._target = target
        self._output = output
        self._socket: socket.socket | None = None
        self._cancelled = False
        self._reports = 0

    def cancel(self) -> None:
        """Stop; from any thread."""
        self._cancelled = True
        if self._socket:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Send the message and write all that comes back."""
        try:
            self._exchange()
        except (Unreachable, OSError, HTTPException, ValueError) as error:
            self._fail(str(error) or type(error).__name__)

    def _exchange(self) -> None:
        connection = self._connected()
        try:
            self._socket = connection.sock
            if self._cancelled:
                return
            body = json.dumps(with_pictures(self._message)).encode()
            connection.request("POST", self._target.path, body, self._headers())
            self._write_back(connection.getresponse())
        finally:
            connection.close()

    def _connected(self) -> HTTPConnection:
        """A connection, after a server has been started if there was none."""
        connection = self._target.connection()
        try:
            connection.connect()
        except OSError:
            self._target.ready(self._waiting)
            connection.connect()
        return connection

    def _write_back(self, response: HTTPResponse) -> None:
        answered = False
        for message in _messages(response):
            if "method" not in message:
                message["id"] = self._message.get("id")  # refusals before a call have none
                answered = True
            if not self._cancelled and self._is_request:
                self._output.send(message)
        if not answered and response.status != 202:
            self._fail(f"The server answered {response.status} {response.reason}.")

    @property
    def _is_request(self) -> bool:
        return "id" in self._message

    def _fail(self, sentence: str) -> None:
        if self._is_request and not self._cancelled:
            self._output.failure(self._message["id"], sentence)

    def _headers(self) -> dict[str, str]:
        """Those that repeat what the message says: proxies route by them."""
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **self._target.headers(),
        }
        version = protocol_version(self._message)
        if version:
            headers["Mcp-Method"] = self._message["method"]
            if name := _name(self._message):
                headers["Mcp-Name"] = _header_value(name)
        if version or self._agreed:
            headers["MCP-Protocol-Version"] = version or self._agreed or ""
        return headers

    def _waiting(self) -> None:
        """Tell the host that its call is alive while a server starts, if it wants to know."""
        token = meta_of(self._message).get("progressToken")
        if token is None or self._cancelled:
            return
        self._reports += 1
        progress: dict[str, Any] = {
            "progressToken": token,
            "progress": self._reports * PROGRESS_STEP,
            "message": "starting the server",
        }
        self._output.send(
            {"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}
        )


def _name(message: Message) -> str:
    """What a call is about: the name of a tool or prompt, or the address of a resource."""
    params = message.get("params")
    found = params.get("name") or params.get("uri") if isinstance(params, dict) else None
    return found if isinstance(found, str) else ""


def _header_value(text: str) -> str:
    """As it is, or in base64 where a header could not hold it (streamable HTTP, 2026-07-28)."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'replace')).decode()}?="


def _messages(response: HTTPResponse) -> Iterator[Message]:
    """Those of a JSON body, or of a stream of events as they come."""
    kind = response.headers.get_content_type()
    if kind == "application/json":
        yield json.loads(response.read())
    elif kind == "text/event-stream":
        for line in response:
            if line.startswith(b"data:") and (data := line[5:].strip()):
                yield json.loads(data)
    else:
        response.read()
