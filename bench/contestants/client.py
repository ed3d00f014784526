"""A lean streaming client: it only notes when bytes come, and reads them when all is over.

The engines need the cores, so nothing is parsed while a stream runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from bench.inputs.prompts import Messages

Watch = Callable[[float], bool]
"""Gets the time of every read; returns true to close the connection."""


@dataclass(frozen=True)
class Dialect:
    """How a server is asked for a stream, and how its events are read."""

    path: str
    body: Callable[[Messages, int], dict[str, object]]
    text: Callable[[dict[str, object]], str]
    tokens: Callable[[dict[str, object]], int | None]


@dataclass(frozen=True)
class Reply:
    """One streamed answer; times are seconds on the clock of ``perf_counter``.

    ``tokens`` is the server's own count, ``times`` holds one entry per piece of text. A server
    that keeps the conversation names it.
    """

    sent: float
    ended: float
    times: tuple[float, ...]
    text: str
    tokens: int
    conversation: str | None

    @property
    def ttft(self) -> float:
        """Seconds from sending the request to the first piece of text."""
        return self.times[0] - self.sent

    @property
    def gaps(self) -> list[float]:
        """Seconds between one piece of text and the next."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


@dataclass(frozen=True)
class Client:
    """Talks to one server on loopback, one connection per request."""

    port: int
    dialect: Dialect

    async def ask(
        self,
        messages: Messages,
        max_tokens: int,
        watch: Watch | None = None,
        conversation: str | None = None,
    ) -> Reply:
        """Stream one answer to its end, or until ``watch`` returns true.

        ``conversation`` is one that the server keeps, to go on with.
        """
        asked = self.dialect.body(messages, max_tokens)
        if conversation:
            asked["conversation_id"] = conversation
        body = json.dumps(asked).encode()
        sent = time.perf_counter()
        frames: list[tuple[float, bytes]] = []
        async with contextlib.aclosing(self._receive(body)) as stream:
            async for data in stream:
                now = time.perf_counter()
                frames.append((now, data))
                if watch and watch(now):
                    break
        return self._reply(sent, frames, max_tokens)

    async def _receive(self, body: bytes) -> AsyncGenerator[bytes, None]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(_head(self.dialect.path, len(body)) + body)
            status = await reader.readline()
            chunked = await _is_chunked(reader)
            if b" 200 " not in status:
                raise RuntimeError(f"{status!r}: {await reader.read(2000)!r}")
            async for data in _chunks(reader) if chunked else _pieces(reader):
                yield data
        finally:
            writer.close()

    def _reply(self, sent: float, frames: list[tuple[float, bytes]], max_tokens: int) -> Reply:
        times, texts, tokens, conversation = [], [], None, None
        for when, event in _events(frames):
            conversation = conversation or event.get("conversation_id")
            if piece := self.dialect.text(event):
                times.append(when)
                texts.append(piece)
            tokens = self.dialect.tokens(event) or tokens
        if not times:
            raise RuntimeError(f"no text came: {frames[-1][1][-500:]!r}" if frames else "no data")
        # A server that reports no usage is only asked what the model answers at full length.
        count = max_tokens if tokens is None else tokens
        kept = str(conversation) if conversation else None
        return Reply(sent, frames[-1][0], tuple(times), "".join(texts), count, kept)


def _head(path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def _is_chunked(reader: asyncio.StreamReader) -> bool:
    """Read the headers to their end; true when the body comes in chunks."""
    chunked = False
    while (line := await reader.readline()).strip():
        name, _, value = line.lower().partition(b":")
        chunked |= name == b"transfer-encoding" and b"chunked" in value
    return chunked


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readline() or b"0", 16):
        data = await reader.readexactly(size + 2)
        yield data[:-2]


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while data := await reader.read(65_536):
        yield data


def _events(frames: list[tuple[float, bytes]]) -> Iterator[tuple[float, dict[str, object]]]:
    """The JSON of every ``data:`` line, with the time at which its end arrived."""
    rest = b""
    for when, data in frames:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                yield when, json.loads(line[6:])
