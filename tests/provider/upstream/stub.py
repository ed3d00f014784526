"""A server that misbehaves on demand, as the name of the model says; on a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
PIECES = ("One ", "two ", "three")
USAGE: Json = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


@dataclass
class Asked:
    """A request that came, and whether its client hung up while it was answered."""

    path: str
    headers: dict[str, str]
    body: Json
    hung_up: threading.Event = field(default_factory=threading.Event)


class Answering:
    """Writes one answer."""

    def __init__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.asked = asked
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def start(
        self, status: str = "200 OK", kind: str = "text/event-stream", **headers: str
    ) -> None:
        """The head of an answer that ends with the connection."""
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def refuse(self, status: str, message: str, **headers: str) -> None:
        self.start(status, "application/json", **headers)
        code = int(status.split(maxsplit=1)[0])
        error = {"message": message, "type": "BadRequestError", "code": code}
        self.send(json.dumps({"error": error}).encode())

    def event(self, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.send(f"data: {text}\n\n".encode())

    def piece(self, delta: Json, reason: str | None = None, **more: Any) -> None:
        self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})

    def pieces(
        self, usage: Json | None = USAGE, reason: str | None = "stop", **headers: str
    ) -> None:
        """A whole answer but for its end."""
        self.start(**headers)
        self.piece({"role": "assistant", "content": ""})
        for piece in PIECES:
            self.piece({"content": piece})
        if reason:
            self.piece({}, reason)
        if usage:
            self.event({"choices": [], "usage": usage})

    def done(self) -> None:
        self.event("[DONE]")

    async def hang(self) -> None:
        """Answer nothing more until the client hangs up."""
        await self._writer.drain()
        await asyncio.to_thread(self.asked.hung_up.wait)


Behave = Callable[[Answering], Awaitable[None]]


class Stub:
    """Answers as ``behaviours`` say for the path or the model that is asked; others are fine."""

    def __init__(self, behaviours: dict[str, Behave], owned_by: str) -> None:
        self.behaviours = behaviours
        self._owned_by = owned_by
        self.asked: list[Asked] = []
        self.url = ""

    def of(self, model: str) -> list[Asked]:
        """The requests for answers of one model."""
        return [one for one in self.asked if one.body.get("model") == model]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                asked = await _read(reader)
                self.asked.append(asked)
                watching = asyncio.create_task(_watch(reader, asked))
                await self._answer(Answering(asked, writer))
                await writer.drain()
                watching.cancel()
        finally:
            writer.close()

    async def _answer(self, answering: Answering) -> None:
        path = answering.asked.path
        if path in self.behaviours:
            await self.behaviours[path](answering)
            return
        if path == "/v1/models":
            answering.start(kind="application/json")
            listed = [
                {"id": name, "owned_by": self._owned_by}
                for name in sorted({*self.behaviours, "fine"})
            ]
            answering.send(json.dumps({"data": listed}).encode())
            return
        behave = self.behaviours.get(answering.asked.body.get("model", ""), fine)
        await behave(answering)


async def fine(answering: Answering) -> None:
    answering.pieces()
    answering.done()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    length = int(headers.get("content-length", 0))
    body = json.loads(await reader.readexactly(length)) if length else {}
    return Asked(first.split()[1], headers, body)


async def _watch(reader: asyncio.StreamReader, asked: Asked) -> None:
    with suppress(ConnectionError):
        await reader.read()
    asked.hung_up.set()


@contextmanager
def stub_server(behaviours: dict[str, Behave], owned_by: str = "vllm") -> Iterator[Stub]:
    """Run the stub in a thread of its own."""
    stub = Stub(behaviours, owned_by)
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
        stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await server.serve_forever()

    def in_thread() -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(running)
        others = asyncio.all_tasks(loop)
        for task in others:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
        loop.run_until_complete(asyncio.sleep(0))  # so that the closed connections are gone
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    running = loop.create_task(run())
    thread = threading.Thread(target=in_thread, daemon=True)
    thread.start()
    started.wait(60)
    try:
        yield stub
    finally:
        for one in stub.asked:
            one.hung_up.set()
        loop.call_soon_threadsafe(running.cancel)
        thread.join()
