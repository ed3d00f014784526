"""Reads lines of a host; answers the first ones, and passes the others on."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from app.cli.mcp import handshake
from app.cli.mcp.call import Call
from app.cli.mcp.handshake import Message
from app.cli.mcp.output import Output
from app.cli.mcp.target import Target
from app.mcp.identity import VERSIONS

PARSE_ERROR, INVALID_REQUEST = -32700, -32600
DISCOVER = "server/discover"


def run(lines: Iterable[bytes]) -> None:
    """Serve one host until it closes the input; then nothing is left running."""
    bridge = Bridge(Output(), Target())
    try:
        for line in lines:
            if line.strip():
                bridge.receive(line)
    except KeyboardInterrupt:
        pass
    finally:
        bridge.close()


class Bridge:
    """One host's connection."""

    def __init__(self, output: Output, target: Target) -> None:
        self._output = output
        self._target = target
        self._calls: dict[str, Call] = {}
        self._agreed: str | None = None
        self._here: dict[str, Callable[[Message], None]] = {
            "initialize": self._initialize,
            DISCOVER: self._discover,
            "notifications/initialized": lambda _: None,
            "notifications/cancelled": self._cancel,
        }

    def receive(self, line: bytes) -> None:
        """Take one line."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._output.error(None, {"code": PARSE_ERROR, "message": "This line is not JSON."})
            return
        if not isinstance(message, dict):
            sentence = "A message is one JSON object on one line."
            self._output.error(None, {"code": INVALID_REQUEST, "message": sentence})
        elif isinstance(method := message.get("method"), str):
            self._here.get(method, self._pass_on)(message)

    def close(self) -> None:
        """Stop all calls, and the server if it was started here."""
        for call in tuple(self._calls.values()):
            call.cancel()
        self._target.close()

    def _initialize(self, message: Message) -> None:
        answer = handshake.initialized(message)
        self._agreed = answer["protocolVersion"]
        self._output.result(message.get("id"), answer)
        self._prepare()

    def _discover(self, message: Message) -> None:
        version = handshake.protocol_version(message)
        if version is None or version in VERSIONS:
            self._output.result(message.get("id"), handshake.discovered())
            self._prepare()
        else:
            self._output.error(message.get("id"), handshake.unsupported(version))

    def _prepare(self) -> None:
        """Have a server ready for what comes next."""
        threading.Thread(target=self._target.prepare, daemon=True).start()

    def _cancel(self, message: Message) -> None:
        params: Any = message.get("params")
        named = params.get("requestId") if isinstance(params, dict) else None
        if call := self._calls.get(repr(named)):
            call.cancel()

    def _pass_on(self, message: Message) -> None:
        call = Call(message, self._agreed, self._target, self._output)
        key = repr(message.get("id"))
        if "id" in message:
            self._calls[key] = call
        threading.Thread(target=self._run, args=(key, call), daemon=True).start()

    def _run(self, key: str, call: Call) -> None:
        try:
            call.run()
        finally:
            if self._calls.get(key) is call:
                del self._calls[key]
            sys.stderr.flush()
