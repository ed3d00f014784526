"""One end of a connection between an API process and the model server."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from os import getuid
from typing import Any, cast

import msgspec

from app.provider.runtime import frames

log = logging.getLogger(__name__)

HIGH_WATER = 2**20
LOW_WATER = 2**18
"""Bytes to be sent, at which the other side counts as slow, and as quick again."""

_PEER = struct.Struct("=II")  # Linux: pid and uid; macOS: a version and uid
_SOL_LOCAL, _LOCAL_PEERCRED, _LONGEST_PEER = 0, 1, 76


def peer_uid(sock: socket.socket) -> int:
    """The user of the process at the other end of a unix socket. Raises OSError."""
    if hasattr(socket, "SO_PEERCRED"):
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size + 4)
    else:
        found = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _LONGEST_PEER)
    _, uid = _PEER.unpack_from(found)
    return int(uid)


class FrameConnection(asyncio.Protocol):
    """Cuts what arrives into messages of at most ``longest`` bytes, and sends messages.

    Only a process of the same user is listened to. What is no message ends the connection.
    ``received`` gets the body of each message, ``lost`` is called once, at the end; ``writable``
    says when the other side becomes slow or quick to read.
    """

    def __init__(
        self,
        longest: int,
        received: Callable[[bytes], None],
        lost: Callable[[], None],
        writable: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._longest = longest
        self._received = received
        self._lost = lost
        self._writable = writable
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse a stranger."""
        self._transport = cast("asyncio.Transport", transport)
        uid = peer_uid(transport.get_extra_info("socket"))
        if uid != getuid():
            log.error("a process of the user %d was refused", uid)
            self.abort()
            return
        self._transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)

    def data_received(self, data: bytes) -> None:
        """Pass whole messages on."""
        self._buffer += data
        try:
            while (body := self._next_body()) is not None:
                self._received(body)
        except (frames.ProtocolViolation, msgspec.DecodeError, RecursionError) as error:
            log.error("a connection is ended by what it sent: %s", error)
            self.abort()

    def _next_body(self) -> bytes | None:
        head = frames.LENGTH.size
        if self._transport is None or len(self._buffer) < head:
            return None
        (length,) = frames.LENGTH.unpack_from(self._buffer)
        frames.check_length(length, self._longest)
        if len(self._buffer) < head + length:
            return None
        body = bytes(memoryview(self._buffer)[head : head + length])
        del self._buffer[: head + length]
        return body

    def pause_writing(self) -> None:
        """The other side reads slowly."""
        self._writable(False)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, once."""
        self._transport = None
        self._buffer.clear()
        self._lost()

    def send(self, frame: bytes) -> None:
        """Send without waiting; nothing happens when the connection has ended."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(frame)

    def send_message(self, message: Any) -> None:
        """Encode and send."""
        self.send(frames.encode(message))

    def close(self) -> None:
        """End it after what was sent has been read."""
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._buffer.clear()
        if self._transport:
            self._transport.abort()
