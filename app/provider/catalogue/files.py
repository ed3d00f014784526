"""Opens files that anybody may have put there: nothing in them may block, crash or flood us."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

_LONGEST_JSON = 2**24
"""Bytes; the index of the largest models is half of it."""

_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".incomplete", ".tmp", ".aria2")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; raises OSError, also for a pipe or device, which would block."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is no regular file")
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def sizes(folder: Path) -> dict[str, int]:
    """The regular files of a folder but hidden ones: name → bytes. Raises OSError."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        return {entry.name: entry.stat().st_size for entry in visible if entry.is_file()}


def read_json(path: Path) -> dict[str, Any]:
    """Read an object; raises OSError, and ValueError for anything else, half or too long."""
    with open_regular(path) as file:
        return json_object(file.read(_LONGEST_JSON + 1))


def json_object(content: bytes) -> dict[str, Any]:
    """Decode an object; raises ValueError for anything else."""
    if len(content) > _LONGEST_JSON:
        raise ValueError("too long")
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def optional_json(path: Path) -> dict[str, Any]:
    """Read an object that a model can do without; empty where there is none."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def unfinished(name: str) -> bool:
    """Whether downloads and editors give such names to what they have not finished."""
    return name.lower().endswith(_UNFINISHED) or name.endswith("~")
