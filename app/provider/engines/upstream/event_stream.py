"""Server-sent events of a stranger: lines of a bounded length, whose data is JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from app.provider.engines.upstream.refusals import refusal_in, unavailable

LONGEST_LINE = 2 * 2**20
"""Bytes; the longest are the arguments of a call, or a token with many alternatives."""

MOST_BYTES = 256 * 2**20
"""Of one answer."""


class EventLines:
    """Cuts bytes into events. ``done`` once the stream has said so."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._rest = bytearray()
        self._received = 0
        self.done = False

    def push(self, block: bytes) -> Iterator[Any]:
        """The values of the events that end in this block; raises ProviderError."""
        self._received += len(block)
        self._rest += block
        if self._received > MOST_BYTES:
            raise unavailable(self._server, "gives an answer without an end")
        *lines, rest = (
            self._rest.replace(b"\r", b"\n").split(b"\n") if b"\n" in block else [self._rest]
        )
        self._rest = bytearray(rest)
        if len(self._rest) > LONGEST_LINE:
            raise unavailable(self._server, f"sent a line of more than {LONGEST_LINE} bytes")
        for line in lines:
            if line.startswith(b"data:") and not self.done:
                yield from self._event(bytes(line[5:]).strip())

    def _event(self, data: bytes) -> Iterator[Any]:
        if data == b"[DONE]":
            self.done = True
            return
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise unavailable(self._server, "sent an event that is no JSON") from None
        if refused := refusal_in(self._server, value):
            raise refused.error()
        yield value
