"""Frames of messages on a socket: a 4-byte length, then MessagePack. Every length is bounded."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from msgspec.msgpack import Encoder

LENGTH = struct.Struct("!I")

_encoder = Encoder()


class ProtocolViolation(Exception):
    """The other side sent what is no message."""


def encode(message: Any) -> bytes:
    """Frame one message."""
    frame = bytearray(LENGTH.size)
    _encoder.encode_into(message, frame, LENGTH.size)
    LENGTH.pack_into(frame, 0, len(frame) - LENGTH.size)
    return bytes(frame)


def framed(body: bytes) -> bytes:
    """Frame what is encoded already."""
    return LENGTH.pack(len(body)) + body


def receive(sock: socket.socket) -> bytearray:
    """Read the body of the next frame; raises EOFError when the other side has ended."""
    (length,) = LENGTH.unpack(_exactly(sock, LENGTH.size))
    return _exactly(sock, length)


def _exactly(sock: socket.socket, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


async def read(reader: asyncio.StreamReader, longest: int = 2**32) -> bytes:
    """Read the body of the next frame, at most ``longest`` bytes (by default, of any length).

    Raises asyncio.IncompleteReadError at the end, and ProtocolViolation.
    """
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    check_length(length, longest)
    return await reader.readexactly(length)


def check_length(length: int, longest: int) -> None:
    """Raise ProtocolViolation for a frame that is longer than allowed."""
    if length > longest:
        raise ProtocolViolation(f"a message of {length} bytes")
