"""Opens foreign files so that nothing in them can block, crash or flood this process."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from app.provider.headers import budget
from app.provider.headers.content import BEGINNING, identify
from app.provider.headers.json_reader import LONGEST, read_list, read_object

MOST_ENTRIES = 20_000
"""Entries that are listed of one folder; no model has more."""

_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".incomplete", ".tmp", ".aria2")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; raises OSError, also for a pipe or device, which would block."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is no regular file")
    budget.begin_file()
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def sizes(folder: Path) -> dict[str, int]:
    """The visible regular files of a folder: name → bytes. Raises OSError."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in islice(entries, MOST_ENTRIES) if entry.name[0] != "."]
        return {entry.name: entry.stat().st_size for entry in visible if entry.is_file()}


def dead_links(folder: Path) -> list[str]:
    """The names of dead links in a folder. Raises OSError."""
    with os.scandir(folder) as entries:
        links = [entry for entry in islice(entries, MOST_ENTRIES) if entry.is_symlink()]
        return sorted(link.name for link in links if not os.path.exists(link.path))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises OSError, and ValueError for all other or too long content."""
    return read_object(_content(path, LONGEST))


def read_json_list(path: Path, longest: int) -> list[Any]:
    """Read a JSON list of at most so many bytes; raises as ``read_json`` does."""
    return read_list(_content(path, longest))


def _content(path: Path, longest: int) -> bytes:
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > longest:
            raise ValueError("too long")
        return file.read(longest + 1)


def fault(path: Path) -> str:
    """What is wrong with a file that cannot be decoded, as the rest of a sentence about it."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            other = identify(file.read(BEGINNING), size, json=path.suffix == ".json")
    except (OSError, ValueError):
        other = ""
    return other or "is damaged or cut off"


def why_missing(path: Path) -> str:
    """What is wrong with a file that is not there, as the rest of a sentence about it."""
    return "is a link to a file that is not there" if path.is_symlink() else "is missing"


def optional_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that a model can do without; empty where there is none."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def unfinished(name: str) -> bool:
    """Whether downloads and editors give such names to unfinished files."""
    return name.lower().endswith(_UNFINISHED) or name.endswith("~")
