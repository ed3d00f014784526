"""Model servers that are real processes, and clients of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from app.model_server.config import ServerConfig
from app.model_server.shared_runtime import SharedRuntime
from app.provider.engine import EngineLimits
from app.provider.hub.names import Hubs
from app.provider.model_server.endpoint import Endpoint
from app.provider.model_server.protocol import (
    PROTOCOL,
    FromServer,
    Hello,
    Publication,
    answer_decoder,
)
from app.provider.pool.config import PoolConfig
from app.provider.runtime import frames
from app.provider.runtime.status import HostPolicy, HostStatus
from app.provider.types import ModelRef
from tests.suspending import send_signal

ECHO = ModelRef("echo", "")
GUARD_SECONDS = 60.0


def server_config(models: Path, **changes: Any) -> ServerConfig:
    """A model server with the echo models, unless ``echo`` is false, which takes many requests."""
    limits = EngineLimits(threads=1, slots=changes.pop("slots", 8))
    echo = changes.pop("echo", True)
    pool = PoolConfig(models, echo=echo, limits=limits, policy=HostPolicy(max_waiting=3000))
    given: dict[str, Any] = {"log_level": "WARNING", "linger": GUARD_SECONDS} | changes
    return ServerConfig(pool, Hubs("huggingface", {}), **given)


@asynccontextmanager
async def connected(config: ServerConfig, *, owner: bool = False) -> AsyncIterator[SharedRuntime]:
    """A client of the model server, which is started where none runs."""
    runtime = SharedRuntime(config, owner=owner)
    runtime.start()
    try:
        await runtime.connected()
        yield runtime
    finally:
        await runtime.close()


def servers() -> list[psutil.Process]:
    """The model servers of this test."""
    folder = os.environ["XDG_RUNTIME_DIR"]
    return [one for one in psutil.process_iter() if _is_server(one, folder)]


def _is_server(process: psutil.Process, folder: str) -> bool:
    try:
        ours = process.environ().get("XDG_RUNTIME_DIR") == folder
        return ours and "app.model_server" in process.cmdline()
    except psutil.Error:
        return False


def have_ended(*processes: psutil.Process) -> bool:
    """Whether none of them runs any more; one that only waits for its parent does not."""
    return not any(map(_runs, processes))


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def the_server() -> psutil.Process:
    (server,) = servers()
    return server


def end_servers() -> None:
    """End the model servers of this test, also those that a signal has stopped."""
    left = servers()
    for server in left:
        with suppress(psutil.Error):
            server.terminate()
            server.resume()
    psutil.wait_procs(left, timeout=GUARD_SECONDS)


async def until(condition: Any) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(GUARD_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def status_of(runtime: SharedRuntime) -> HostStatus:
    return (await runtime.host.measured()).statuses["echo"]


async def until_requests(runtime: SharedRuntime, count: int) -> None:
    """Wait until the engine has so many requests in hand."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            status = await status_of(runtime)
            if status.active + status.waiting == count:
                return
            await asyncio.sleep(0.01)


async def signal_engine(runtime: SharedRuntime, number: signal.Signals) -> int:
    """Send a signal to the engine process; returns its number."""
    pid = (await status_of(runtime)).pid
    assert pid
    send_signal(pid, number)
    return pid


class RawClient:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, config: ServerConfig, *, hello: bool = True) -> RawClient:
        path = Endpoint(config.name).path
        client = cls(*await asyncio.open_unix_connection(path))
        if hello:
            client.send(Hello(PROTOCOL, "raw", "raw"))
        return client

    def send(self, message: Any) -> None:
        self.writer.write(frames.encode(message))

    async def read(self) -> FromServer:
        """The next message that is no publication."""
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                message = answer_decoder.decode(await frames.read(self.reader, 2**30))
                if not isinstance(message, Publication):
                    return message

    async def is_cut_off(self) -> bool:
        """Wait until the server has ended the connection."""
        async with asyncio.timeout(GUARD_SECONDS):
            try:
                while await self.reader.read(2**20):
                    pass
            except ConnectionError:
                return True
        return True

    def close(self) -> None:
        self.writer.close()
