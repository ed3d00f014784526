"""The processes that decode, as the API process sees them: one per picture, bounded, killable."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from app.media.errors import ImagesBusy, ImageUnreadable
from app.media.header import Header, SizeUnknown, read
from app.media.policy import MediaPolicy
from app.provider.runtime import child_process as processes
from app.provider.runtime.engine_process import how_it_ended

log = logging.getLogger(__name__)

_MEMORY = 96 * 2**20
"""Bytes of address space beside the picture: Python with Pillow takes 27 MB."""
_MEMORY_PER_PIXEL = 24
"""Bytes: the decoder's own, 4 as decoded, 4 in RGBA, 4 scaled, 4 upright, the PNG."""
_LONGEST_REPLY = 2**16
_REST = 5.0
"""Seconds after a picture before a process is started for the next one."""
_BROKEN = (asyncio.IncompleteReadError, ConnectionError, KeyError, TypeError, ValueError)
"""What reading the reply of a process raises that has crashed, or has been taken over."""
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The picture as PNG, upright, RGB, without metadata; its size in pixels."""

    content: bytes
    width: int
    height: int


class Decoders:
    """Decodes, each file in a process of its own. Lives on one event loop; ``close`` it.

    Some seconds after a picture one process waits for the next, with Pillow imported: 16 MB of
    memory for 0.06 s less per picture.
    """

    def __init__(self, policy: MediaPolicy) -> None:
        self._policy = policy
        self._room = asyncio.Semaphore(policy.workers)
        self._waiting = 0
        self._spare: _Child | None = None
        self._refilling: asyncio.Task[None] | None = None

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
        """End the process that waits."""
        if self._refilling:
            self._refilling.cancel()
            await asyncio.gather(self._refilling, return_exceptions=True)
        if self._spare:
            spare, self._spare = self._spare, None
            await spare.end()

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
        child, self._spare = self._spare, None
        if child and child.ended:  # somebody killed it; its socket is still ours
            await child.end()
            child = None
        child = child or await _Child.start()
        try:
            yield child
        finally:
            await child.end()
        if self._refilling is None or self._refilling.done():
            self._refilling = asyncio.create_task(self._refill())

    async def _refill(self) -> None:
        """Not at once: what was decoded is now being looked at, and that needs every core."""
        await asyncio.sleep(_REST)
        with suppress(OSError):  # the next picture starts its own, and tells if it cannot
            self._spare = self._spare or await _Child.start()


class _Child:
    """One process, for one picture."""

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._popen = popen
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls) -> _Child:
        started = await processes.start("app.media", _little(), longest=_LONGEST_REPLY, quiet=True)
        return cls(started.popen, started.reader, started.writer)

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

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
            self._writer.write(json.dumps(request).encode() + b"\n" + content)
            await self._writer.drain()
            return await self._reply(4 * pixels + _LONGEST_REPLY)
        except _BROKEN as error:
            await self.end()
            log.warning("the decoder of a picture %s", how_it_ended(self._popen.returncode))
            raise ImageUnreadable("The file makes its decoder crash.") from error

    async def _reply(self, longest: int) -> Decoded:
        """Take nothing on trust: a file may have taken the decoder over."""
        reply = json.loads(await self._reader.readline() or b"null")
        if reply is None:
            raise asyncio.IncompleteReadError(b"", None)
        if "problem" in reply:
            raise ImageUnreadable(str(reply["problem"])[:200])
        content = await self._reader.readexactly(min(int(reply["bytes"]), longest))
        header = read(content)
        if header != Header("image/png", reply["width"], reply["height"]):
            raise SizeUnknown
        return Decoded(content, header.width, header.height)

    async def end(self) -> None:
        self._popen.kill()
        self._writer.close()
        await asyncio.shield(asyncio.to_thread(self._popen.wait))


def _little() -> dict[str, str]:
    """Of our environment: no key or password is where a file could reach it."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
