"""Connects to the model server of a configuration, and starts it where none runs."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

from app.model_server.config import ServerConfig, encode
from app.provider.model_server.endpoint import Endpoint
from app.provider.runtime import child_process, frames

START_SECONDS = 60.0
"""How long a model server may take to listen, and one before it to end."""


class NotStarted(OSError):
    """A model server was started and does not listen."""


async def dial(config: ServerConfig) -> socket.socket:
    """A connection to the server; raises OSError."""
    endpoint = Endpoint(config.name)

    async def start(lock: int) -> None:
        await _start(config, lock)

    try:
        async with asyncio.timeout(2 * START_SECONDS):
            return await endpoint.connect_or_start(start)
    except TimeoutError:
        raise NotStarted("Another process has its lock and does not listen.") from None


async def _start(config: ServerConfig, lock: int) -> None:
    """Start the process, which inherits the lock, and wait until it listens."""
    child = await child_process.start("app.model_server", os.environ, inherited=(lock,))
    # It outlives this process, or else its end is noticed by the connection.
    threading.Thread(target=child.popen.wait, name="model server", daemon=True).start()
    answer = b""
    try:
        child.writer.write(frames.framed(encode(config)))
        async with asyncio.timeout(START_SECONDS):
            answer = await child.reader.readline()
    except (TimeoutError, ConnectionError):
        pass
    finally:
        child.writer.close()
        if not answer:
            child.popen.kill()
    if not answer:
        raise NotStarted("It does not start; the log says why.")
