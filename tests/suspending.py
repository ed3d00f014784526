"""Lets a process stand still."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

STILL = {"T", "t", "Z", "X"}
"""States of threads that do not go on: stopped, or at their end."""


def suspend(process: psutil.Process) -> None:
    """Stop a process and return when it stands still, with all of its threads.

    The system only takes note of the signal: on a busy machine a thread that has just been woken
    may get on with its work before. Raises psutil.NoSuchProcess.
    """
    process.suspend()
    deadline = time.monotonic() + 60
    while not stands_still(process):
        assert time.monotonic() < deadline, f"{process} goes on"
        time.sleep(0.001)


@contextmanager
def standing_still(*processes: psutil.Process) -> Iterator[None]:
    """No process does anything within the context; one that is killed there stays so."""
    for process in processes:
        suspend(process)
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process, which stands still after SIGSTOP."""
    if number == signal.SIGSTOP:
        suspend(psutil.Process(pid))
    else:
        os.kill(pid, number)


def stands_still(process: psutil.Process) -> bool:
    """Whether no thread of a process goes on; so it is when it has ended."""
    if sys.platform == "linux":
        return states(process.pid) <= STILL
    return process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}


def states(pid: int) -> set[str]:
    """The states of the threads of a process, as Linux writes them."""
    found: set[str] = set()
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found.add((thread / "stat").read_text().rpartition(")")[2].split()[0])
    return found
