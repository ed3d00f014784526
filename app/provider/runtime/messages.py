"""Messages between the API process and an engine process: a 4-byte length, then a pickle.

Both ends run code of this package on one socket pair. Messages are plain values, so another
encoding could carry them to another machine.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from dataclasses import dataclass
from typing import Any

from app.provider.engine import EngineInfo
from app.provider.errors import ProviderError
from app.provider.types import Event, Loaded, Prompt, Size

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Submit:
    """Host → engine: answer this prompt."""

    job: int
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Count:
    """Host → engine: count the tokens of this prompt; the answer is a Size."""

    job: int
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Ping:
    """Host → engine: answer with Loaded as soon as the model is loaded."""

    job: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Host → engine: stop this job."""

    job: int


@dataclass(frozen=True, slots=True)
class Threads:
    """Host → engine: use so many CPU threads."""

    threads: int


@dataclass(frozen=True, slots=True)
class Loading:
    """Engine → host: progress of loading, in percent."""

    percent: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Engine → host: the model is loaded."""

    info: EngineInfo


@dataclass(frozen=True, slots=True)
class Refused:
    """Engine → host: the model cannot be loaded; the process ends."""

    error: ProviderError


Outcome = Event | Size | Loaded | ProviderError
Report = list[tuple[int, Outcome]]
"""Engine → host: the outcomes of one step, by job. An empty one shows that the engine works."""


def encode(message: object) -> bytes:
    """Frame one message."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> Any:
    """Read the next message on the host's side; raises asyncio.IncompleteReadError at the end."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 — our own child


def receive(sock: socket.socket) -> Any:
    """Read the next message on the engine's side; raises EOFError when the host has ended."""
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size))
    return pickle.loads(_exactly(sock, length))  # noqa: S301 — our own parent


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
