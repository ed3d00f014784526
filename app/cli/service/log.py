"""``sllm logs``: the end of the log, and what is added to it."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import suppress

from app.cli.service.state import LOG

PAUSE = 0.25


def tail(count: int) -> list[str]:
    """The last lines, with their ends."""
    try:
        with LOG.open(encoding="utf-8", errors="replace") as file:
            return list(deque(file, count))
    except FileNotFoundError:
        return []


def show(count: int, *, follow: bool) -> None:
    """Print the last lines, and go on until Ctrl-C with ``follow``."""
    sys.stdout.writelines(tail(count))
    if follow:
        with suppress(KeyboardInterrupt):
            _follow()


def _follow() -> None:
    """Print what is added, also when a new file takes the place of a full one."""
    at, inode = _size_and_inode()
    while True:
        sys.stdout.flush()
        time.sleep(PAUSE)
        size, now = _size_and_inode()
        if now != inode:
            at, inode = 0, now
        if size > at:
            with LOG.open("rb") as file:
                file.seek(at)
                added = file.read()
            at += len(added)
            sys.stdout.write(added.decode("utf-8", "replace"))


def _size_and_inode() -> tuple[int, int]:
    try:
        found = LOG.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_ino
