"""The processes that decode, as the API process sees them: one per picture, bounded, killable."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.media.errors import ImagesBusy, ImageUnreadable
from app.media.fork_server import LONGEST_LINE, Forked, ForkServer
from app.media.header import Header, SizeUnknown, read
from app.media.policy import MediaPolicy
from app.provider.runtime.engine_process import how_it_ended

log = logging.getLogger(__name__)

_MEMORY = 96 * 2**20
"""Bytes of address space beside the picture: Python with Pillow takes 27 MB."""
_MEMORY_PER_PIXEL = 24
"""Bytes: the decoder's own, 4 as decoded, 4 in RGBA, 4 scaled, 4 upright, the PNG."""
_BROKEN = (asyncio.IncompleteReadError, ConnectionError, KeyError, TypeError, ValueError)
"""What reading the reply of a process raises that has crashed, or has been taken over."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The picture as PNG, upright, RGB, without metadata; its size in pixels."""

    content: bytes
    width: int
    height: int


class Decoders:
    """Decodes, each file in a process of its own. Lives on one event loop; ``close`` it.

    The processes are forks of one that stays from the first picture on: 16 MB of memory for 0.06 s
    less per picture.
    """

    def __init__(self, policy: MediaPolicy) -> None:
        self._policy = policy
        self._room = asyncio.Semaphore(policy.workers)
        self._waiting = 0
        self._server: ForkServer | None = None
        self._starting = asyncio.Lock()

    async def decode(self, content: bytes, header: Header, side: int) -> Decoded:
        """Decode ``content``, scaled to ``side`` pixels (0: as it is).

        Raises ImageUnreadable for a file that is damaged, crashes the decoder or takes too long,
        and ImagesBusy.
        """
        async with self._turn(), self._child() as child:
            try:
                async with asyncio.timeout(self._policy.seconds):
                    return await child.work(content, header, side, self._policy.seconds)
            except TimeoutError as error:
                line = f"Decoding it took longer than {self._policy.seconds:g} seconds."
                raise ImageUnreadable(line) from error

    async def close(self) -> None:
        """End the process that others are forked from."""
        if self._server:
            server, self._server = self._server, None
            await server.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._room.locked() and self._waiting >= self._policy.max_waiting:
            raise ImagesBusy(self._policy.max_waiting)
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._room.release()

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[_Child]:
        forked = await self._fork()
        try:
            yield _Child(forked)
        finally:
            await forked.end()

    async def _fork(self) -> Forked:
        server = await self._running()
        try:
            return await server.fork()
        except ConnectionError:  # somebody has killed it since it was looked at
            return await (await self._running(instead_of=server)).fork()

    async def _running(self, instead_of: ForkServer | None = None) -> ForkServer:
        async with self._starting:
            server = self._server
            if server and (server is instead_of or not server.alive):
                await self.close()
            self._server = self._server or await ForkServer.start()
            return self._server


class _Child:
    """One process, for one picture."""

    def __init__(self, forked: Forked) -> None:
        self._forked = forked

    async def work(self, content: bytes, header: Header, side: int, seconds: float) -> Decoded:
        pixels = header.width * header.height
        request = {
            "mime": header.mime,
            "width": header.width,
            "height": header.height,
            "side": side,
            "bytes": len(content),
            "memory": _MEMORY + _MEMORY_PER_PIXEL * pixels + 4 * len(content),
            "seconds": math.ceil(seconds) + 1,
        }
        try:
            self._forked.writer.write(json.dumps(request).encode() + b"\n" + content)
            await self._forked.writer.drain()
            return await self._reply(4 * pixels + LONGEST_LINE)
        except _BROKEN as error:
            log.warning("the decoder of a picture %s", how_it_ended(await self._forked.end()))
            raise ImageUnreadable("The file makes its decoder crash.") from error

    async def _reply(self, longest: int) -> Decoded:
        """Take nothing on trust: a file may have taken the decoder over."""
        reply = json.loads(await self._forked.reader.readline() or b"null")
        if reply is None:
            raise asyncio.IncompleteReadError(b"", None)
        if "problem" in reply:
            raise ImageUnreadable(str(reply["problem"])[:200])
        content = await self._forked.reader.readexactly(min(int(reply["bytes"]), longest))
        header = read(content)
        if header != Header("image/png", reply["width"], reply["height"]):
            raise SizeUnknown
        return Decoded(content, header.width, header.height)
