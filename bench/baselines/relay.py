"""The least that several processes before one engine can cost: ``python -m bench.baselines.relay``.

PORT and a number of processes are its arguments. One process asks the engine itself, as our server
does with one process. Several ask it through a relay on a unix socket, as our workers ask the model
server. HTTP, the relay and the engine do nothing but what the question needs; the frames between
them are our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from uvicorn import Config

from app.provider.runtime import messages
from app.provider.types import Delta, End, Message, Prompt, Started, Usage

_LENGTH = struct.Struct("!I")
_TO_ENGINE: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(messages.ToEngine)
ACCEPTED_AT_ONCE = 1


def echo(descriptor: int) -> None:
    """Be the engine: answer each prompt with its last message, until the other end is gone."""
    connection = socket.socket(fileno=descriptor)
    with contextlib.suppress(EOFError):
        while True:
            asked = messages.receive(connection)
            text = asked.task.messages[-1].text
            events = (Started(10, 0), Delta(text), End("stop", Usage(10, 2, 0)))
            outcomes: messages.Outcomes = [(asked.job, event) for event in events]
            connection.sendall(messages.encode(messages.report(outcomes)))


class Engine:
    """The engine as a front sees it, directly or behind the relay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._jobs = count()
        self._texts: dict[int, str] = {}
        self._waiting: dict[int, asyncio.Future[str]] = {}

    async def answer(self, text: str) -> str:
        """The engine's answer."""
        job = next(self._jobs)
        self._waiting[job] = asyncio.get_running_loop().create_future()
        prompt = Prompt((Message.of("user", text),), owner="o")
        self._writer.write(messages.encode(messages.Submit(job, prompt)))
        return await self._waiting[job]

    async def listen(self) -> None:
        """Take what comes back, for ever."""
        while True:
            for job, event in await messages.read(self._reader):  # type: ignore[union-attr, misc]
                if isinstance(event, Delta):
                    self._texts[job] = self._texts.get(job, "") + event.text
                elif isinstance(event, End):
                    self._waiting.pop(job).set_result(self._texts.pop(job, ""))


class Front(asyncio.Protocol):
    """A connection of a client, with one request at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._data = b""
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer as soon as the request is whole."""
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if found and len(body) >= length:
            self._data = b""
            self._answering = asyncio.create_task(self._answer(body))

    async def _answer(self, body: bytes) -> None:
        text = await self._engine.answer(json.loads(body)["message"]) if body else "ok"
        answer = json.dumps({"message": text}).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
        )


async def front(listener: socket.socket, path: str) -> None:
    """Serve clients with the engine behind the relay, for ever."""
    await _serve(listener, Engine(*await asyncio.open_unix_connection(path)))


async def _serve(listener: socket.socket, engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Front(engine), sock=listener, backlog=ACCEPTED_AT_ONCE)
    listener.listen(2048)
    await engine.listen()


class Relay:
    """Passes requests of many fronts to one engine, and what it says to the front that asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._jobs = count()
        self._origin: dict[int, tuple[asyncio.StreamWriter, int]] = {}

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a front asks, until it is gone."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                asked = _TO_ENGINE.decode(await reader.readexactly(length))
                job = next(self._jobs)
                self._origin[job] = writer, asked.job
                self._writer.write(messages.encode(messages.Submit(job, asked.task)))

    async def listen(self) -> None:
        """Pass on what the engine says, for ever."""
        while True:
            by_front: dict[asyncio.StreamWriter, messages.Outcomes] = {}
            for job, event in await messages.read(self._reader):  # type: ignore[union-attr, misc]
                writer, theirs = self._origin[job]
                by_front.setdefault(writer, []).append((theirs, event))
                if isinstance(event, End):
                    del self._origin[job]
            for writer, outcomes in by_front.items():
                writer.write(messages.encode(messages.report(outcomes)))


async def run(port: int, processes: int) -> None:
    """Serve for ever."""
    ours, theirs = socket.socketpair()
    with _started("echo", theirs):
        connection = await asyncio.open_connection(sock=ours)
        listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        if processes == 1:
            await _serve(listener, Engine(*connection))
        else:
            await _relay(listener, Relay(*connection), processes)


async def _relay(listener: socket.socket, relay: Relay, processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as fronts:
        path = str(Path(folder, "relay.sock"))
        await asyncio.start_unix_server(relay.take, path)
        for _ in range(processes):
            fronts.enter_context(_started("front", listener, path))
        await relay.listen()


@contextlib.contextmanager
def _started(role: str, given: socket.socket, *more: str) -> Iterator[None]:
    """A process of this module with that socket."""
    command = [sys.executable, "-m", __spec__.name, role, str(given.fileno()), *more]
    with subprocess.Popen(command, pass_fds=[given.fileno()]) as child:
        try:
            yield
        finally:
            child.kill()


def main(arguments: list[str]) -> None:
    """Be what the arguments say."""
    match arguments:
        case ["echo", descriptor]:
            echo(int(descriptor))
        case ["front", descriptor, path]:
            run_in_loop(front(socket.socket(fileno=int(descriptor)), path))
        case [port, processes]:
            run_in_loop(run(int(port), int(processes)))


def run_in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run it in the event loop that uvicorn would take."""
    with asyncio.Runner(loop_factory=Config("", loop="auto").get_loop_factory()) as runner:
        runner.run(work)


if __name__ == "__main__":
    main(sys.argv[1:])
