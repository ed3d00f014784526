"""The fork server of image decoders, on the socket whose number it is given.

For every picture it forks a process, which decodes that one and ends. The server has imported
Pillow, so a fork takes a millisecond; it never sees a file itself. Whatever a file does to the
decoder, it does to the fork, which can have little memory, little time and no file or connection
beyond the socket of its picture.

A line of JSON and the file come in on that socket; a line of JSON and a PNG go out. The server's
own messages are those of ``app.media.fork_protocol``.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from io import BufferedRWPair
from typing import Any

from app.media.decode import Drawn, Job, Undecodable, decode
from app.media.fork_protocol import FAILED, FORK, NOTICE, REQUEST, STARTED


class ForkServer:
    """Forks decoders as it is asked to, and says when each has ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[int] = set()
        signal.signal(signal.SIGCHLD, self._reap)

    def serve(self) -> None:
        """Do as the other side says until that is closed."""
        while True:
            request, sockets, *_ = socket.recv_fds(self._control, REQUEST.size, 1)
            if not request:
                return
            (asked,) = REQUEST.unpack(request)
            if asked == FORK:
                self._fork(socket.socket(fileno=sockets[0]))
            elif asked in self._children:  # a number may belong to another process after its end
                os.kill(asked, signal.SIGKILL)

    def _fork(self, line: socket.socket) -> None:
        """The end of a child waits until it is known."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        with line:
            try:
                pid = os.fork()
            except OSError as error:
                self._notify(FAILED, error.errno or 0)
            else:
                if not pid:
                    self._become_decoder(line)
                self._children.add(pid)
                self._notify(pid, STARTED)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def _become_decoder(self, line: socket.socket) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        try:
            _decode_one(line.makefile("rwb"))
        finally:
            os._exit(0)  # nothing is left to do, and tidying up takes as long as starting

    def _reap(self, *_: object) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._children.discard(pid)
                self._notify(pid, os.waitstatus_to_exitcode(status))

    def _notify(self, pid: int, code: int) -> None:
        with suppress(BrokenPipeError):
            self._control.sendall(NOTICE.pack(pid, code))


def _decode_one(line: BufferedRWPair) -> None:
    asked = line.readline()
    if not asked:
        return  # never needed
    request = json.loads(asked)
    content = line.read(request.pop("bytes"))
    _confine(request.pop("memory"), request.pop("seconds"))
    description, picture = _answer(request, content)
    with suppress(BrokenPipeError):
        line.write(json.dumps(description).encode() + b"\n" + picture)
        line.flush()


def _confine(memory: int, seconds: int) -> None:
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        with suppress(ValueError, OSError):  # macOS does not know all of them
            resource.setrlimit(kind, (bound, bound))


def _answer(request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        drawn = decode(content, Job(**request))
    except Undecodable as error:
        return {"problem": str(error)}, b""
    except MemoryError:
        return {"problem": "Decoding it takes more memory than a picture of its size needs."}, b""
    except Exception:  # broken files make decoders raise anything
        return {"problem": "The file is damaged or cut off: it cannot be decoded."}, b""
    return _description(drawn), drawn.content


def _description(drawn: Drawn) -> dict[str, Any]:
    return {"width": drawn.width, "height": drawn.height, "bytes": len(drawn.content)}


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as control:
        ForkServer(control).serve()
