"""What is installed, found out without importing it."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path


def installed(*libraries: str) -> bool:
    """Whether all of them are installed."""
    return all(importlib.util.find_spec(library) for library in libraries)


def folder_of(library: str) -> Path | None:
    """The folder with the code of a library; None where it is not installed."""
    spec = importlib.util.find_spec(library)
    return Path(spec.origin).parent if spec and spec.origin else None


@lru_cache(maxsize=4)
def source(path: Path) -> str:
    """The code of one of a library's files."""
    return path.read_text(encoding="utf-8")
