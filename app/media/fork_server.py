"""The fork server of image decoders, as the API process sees it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

from app.media.fork_protocol import FAILED, FORK, NOTICE, REQUEST, STARTED
from app.provider.runtime import child_process as processes
from app.provider.runtime.tasks import cancel_tasks

_LOST = -9
"""Exit code of a process whose server is gone."""
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
LONGEST_LINE = 2**16
"""Bytes; what a decoder says before the PNG."""

_Starting = asyncio.Future[tuple[int, asyncio.Future[int]]]
"""A process that is being forked, and its exit code."""


@dataclass(frozen=True, slots=True)
class Forked:
    """A process, the two ends of its socket, and its exit code once it has ended."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    exit_code: asyncio.Future[int]
    kill: Callable[[], None]

    async def end(self) -> int:
        """Kill it if it is still there; return its exit code once it is gone."""
        self.kill()
        self.writer.close()
        return await asyncio.shield(self.exit_code)


class ForkServer:
    """A running server. Lives on one event loop; ``close`` it."""

    def __init__(self, child: processes.Child, control: socket.socket) -> None:
        self._child = child
        self._control = control
        self._starting: deque[_Starting] = deque()
        self._exit_codes: dict[int, asyncio.Future[int]] = {}
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls) -> ForkServer:
        """Start a server; raises OSError."""
        child = await processes.start("app.media", _little(), quiet=True)
        # asyncio's own object of the socket cannot send descriptors.
        control = socket.socket(fileno=os.dup(child.writer.get_extra_info("socket").fileno()))
        return cls(child, control)

    @property
    def alive(self) -> bool:
        """Whether it runs: somebody may have killed it."""
        return not self._listening.done() and self._child.popen.poll() is None

    async def fork(self) -> Forked:
        """Start a process with Pillow imported; raises OSError."""
        starting: _Starting = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        with ExitStack() as undone:
            undone.callback(ours.close)
            with theirs:
                socket.send_fds(self._control, [REQUEST.pack(FORK)], [theirs.fileno()])
            self._starting.append(starting)
            pid, exit_code = await starting
            kill = partial(self._kill, pid)
            undone.callback(kill)
            reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
            undone.pop_all()
        return Forked(reader, writer, exit_code, kill)

    def _kill(self, pid: int) -> None:
        with suppress(OSError):  # the server is gone; its processes end when their time is over
            self._control.send(REQUEST.pack(pid))

    async def close(self) -> None:
        """End the server."""
        self._child.popen.kill()
        self._child.writer.close()
        self._control.close()
        await asyncio.shield(asyncio.to_thread(self._child.popen.wait))
        await cancel_tasks(self._listening)
        self._lose()

    async def _listen(self) -> None:
        try:
            while True:
                notice = await self._child.reader.readexactly(NOTICE.size)
                self._take(*NOTICE.unpack(notice))
        except (asyncio.IncompleteReadError, ConnectionError):
            self._lose()

    def _take(self, pid: int, code: int) -> None:
        if pid == FAILED:
            _fail(self._starting.popleft(), OSError(code, os.strerror(code)))
        elif code == STARTED:
            exit_code = self._exit_codes[pid] = asyncio.get_running_loop().create_future()
            starting = self._starting.popleft()
            if starting.cancelled():
                self._kill(pid)
            else:
                starting.set_result((pid, exit_code))
        else:
            self._exit_codes.pop(pid).set_result(code)

    def _lose(self) -> None:
        """The server is gone, and so is all that it would have said."""
        for starting in self._starting:
            _fail(starting, ConnectionError("The fork server has ended."))
        for exit_code in self._exit_codes.values():
            exit_code.set_result(_LOST)
        self._starting.clear()
        self._exit_codes.clear()


def _fail(starting: _Starting, error: OSError) -> None:
    if not starting.cancelled():
        starting.set_exception(error)


def _little() -> dict[str, str]:
    """Of our environment: no key or password is where a file could reach it."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
