"""Opens files that anybody may have put there: nothing in them may block, crash or flood us."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from app.provider.headers import budget
from app.provider.headers.content import BEGINNING, identify
from app.provider.headers.json_reader import LONGEST, read_object

MOST_ENTRIES = 20_000
"""Of one folder; more are no model."""

_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".incomplete", ".tmp", ".aria2")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; raises OSError, also for a pipe or device, which would block."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is no regular file")
    budget.begin_file()
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def sizes(folder: Path) -> dict[str, int]:
    """The regular files of a folder but hidden ones: name → bytes. Raises OSError."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in islice(entries, MOST_ENTRIES) if entry.name[0] != "."]
        return {entry.name: entry.stat().st_size for entry in visible if entry.is_file()}


def dead_links(folder: Path) -> list[str]:
    """The names of links in a folder that lead nowhere. Raises OSError."""
    with os.scandir(folder) as entries:
        links = [entry for entry in islice(entries, MOST_ENTRIES) if entry.is_symlink()]
        return sorted(link.name for link in links if not os.path.exists(link.path))


def read_json(path: Path) -> dict[str, Any]:
    """Read an object; raises OSError, and ValueError for anything else, half or too long."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > LONGEST:
            raise ValueError("too long")
        return read_object(file.read(LONGEST + 1))


def fault(path: Path) -> str:
    """What is wrong with a file that cannot be decoded: the middle of a sentence about it."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            other = identify(file.read(BEGINNING), size, json=path.suffix == ".json")
    except (OSError, ValueError):
        other = ""
    return other or "is damaged or cut off"


def why_missing(path: Path) -> str:
    """The same of a file that is not there."""
    return "is a link to a file that is not there" if path.is_symlink() else "is missing"


def optional_json(path: Path) -> dict[str, Any]:
    """Read an object that a model can do without; empty where there is none."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def unfinished(name: str) -> bool:
    """Whether downloads and editors give such names to what they have not finished."""
    return name.lower().endswith(_UNFINISHED) or name.endswith("~")
