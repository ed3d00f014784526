"""Child processes on loopback: start, wait until they answer, end them again."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]

START_SECONDS = 120.0


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], port: int, health: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, from its first 200 on ``health`` to the end of the block.

    It runs in an empty folder, so that no ``.env`` and no ``models/`` of the user counts, and
    imports this checkout unless ``env`` says otherwise.
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command, cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            if not _answers(child, port, health):
                log.seek(0)
                tail = log.read().decode(errors="replace")[-2000:]
                raise RuntimeError(f"{command[0]} did not become healthy:\n{tail}")
            yield child
        finally:
            end(child)


def _answers(child: subprocess.Popen[bytes], port: int, health: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            attempt = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with contextlib.closing(attempt) as connection:
                connection.request("GET", health)
                if connection.getresponse().status == 200:
                    return True
        time.sleep(0.005)
    return False


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask the process and its children to stop; kill after ten seconds."""
    try:
        family = [*psutil.Process(child.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(10)
    _, alive = psutil.wait_procs(family, timeout=5)
    for process in [*alive, child]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()
