"""Messages between the API process and an engine process: a 4-byte length, then a pickle.

Both ends are our own code on one socket pair, and a message is a plain value, so the same
messages could travel to another machine under another encoding.
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
    """Host → engine: say how many tokens this prompt has; the answer is a Size."""

    job: int
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Ping:
    """Host → engine: say Loaded, as soon as there is somebody to say it."""

    job: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Host → engine: nobody wants this job any more."""

    job: int


@dataclass(frozen=True, slots=True)
class Threads:
    """Host → engine: use that many CPU threads."""

    threads: int


@dataclass(frozen=True, slots=True)
class Loading:
    """Engine → host: loading has come that far, in percent."""

    percent: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Engine → host: loaded."""

    info: EngineInfo


@dataclass(frozen=True, slots=True)
class Refused:
    """Engine → host: the model cannot be loaded; the process ends."""

    error: ProviderError


Outcome = Event | Size | Loaded | ProviderError
Report = list[tuple[int, Outcome]]
"""Engine → host: what one step gave, by job. Empty when a step gave nothing: a sign of life."""


def encode(message: object) -> bytes:
    """Frame one message."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> Any:
    """Next message on the host's side; raises asyncio.IncompleteReadError at the end."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 — our own child


def receive(sock: socket.socket) -> Any:
    """Next message on the engine's side; raises EOFError when the host has gone."""
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
