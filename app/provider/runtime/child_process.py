"""Starts child processes with a socket: engines, downloads and image decoders."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and the two ends of its socket."""

    popen: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def start(
    module: str,
    environment: Mapping[str, str],
    *,
    longest: int = 2**16,
    quiet: bool = False,
    inherited: Sequence[int] = (),
) -> Child:
    """Run ``python -m module FD``, where FD is its end of the socket.

    ``longest`` bounds a line that is read from it, in bytes; a ``quiet`` child has no standard
    output. It inherits the descriptors ``inherited`` too. A start that fails or is cancelled leaves
    nothing behind. Raises OSError.
    """
    ours, theirs = socket.socketpair()
    output = subprocess.DEVNULL if quiet else None
    with ExitStack() as undone:
        undone.callback(ours.close)
        with theirs:
            popen = subprocess.Popen(  # noqa: ASYNC220 — returns after fork, some milliseconds
                [sys.executable, "-m", module, str(theirs.fileno())],
                pass_fds=(theirs.fileno(), *inherited),
                env={**environment, "PYTHONPATH": import_path()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        undone.callback(popen.wait)
        undone.callback(popen.kill)
        reader, writer = await asyncio.open_connection(sock=ours, limit=longest)
        undone.pop_all()
    return Child(popen, reader, writer)


def import_path() -> str:
    """PYTHONPATH with which a child finds this package."""
    return os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
