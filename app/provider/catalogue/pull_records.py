"""Reads the records of pulled models, ``models/.sources/<id>.json``, for the catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from app.provider.headers.fields import number, section, text
from app.provider.headers.files import optional_json

_SOURCES = ".sources"
_UNKNOWN_LICENCE = "not stated"


@dataclass(frozen=True, slots=True)
class PullRecord:
    """A revision of a repository that was pulled as the file or folder ``name``.

    ``files`` are path, bytes and SHA-256 of each; the path is empty where ``name`` is the file.
    """

    name: str
    repo: str
    revision: str
    licence: str
    files: tuple[tuple[str, int, str], ...]

    def is_at(self, path: Path) -> bool:
        """Whether all files are there with the sizes that were pulled."""
        try:
            agree = [(path / name).stat().st_size == size for name, size, _ in self.files]
        except (OSError, ValueError):
            return False
        return bool(agree) and all(agree)


def pull_records(models_dir: Path) -> dict[Path, PullRecord]:
    """Records of the models that are still there, by their path."""
    found: dict[Path, PullRecord] = {}
    for record_file, changed, size in _records(models_dir):
        for record in _read(record_file, changed, size):
            path = models_dir / record.name
            if path not in found and record.is_at(path):
                found[path] = record
    return found


def _records(models_dir: Path) -> Iterator[tuple[str, int, int]]:
    """Path, time and size of each record."""
    try:
        with os.scandir(models_dir / _SOURCES) as entries:
            names = [entry for entry in entries if entry.name.endswith(".json")]
            states = [(entry.path, entry.stat()) for entry in names]
    except OSError:
        return
    for path, state in states:
        yield path, state.st_mtime_ns, state.st_size


@lru_cache(maxsize=1024)
def _read(path: str, _changed: int, _size: int) -> tuple[PullRecord, ...]:
    """The revision of a record, and the previous one while it is being replaced."""
    values = optional_json(Path(path))
    plans = [section(values, key) for key in ("plan", "previous")]
    return tuple(_record(plan) for plan in plans if text(plan, "name") and text(plan, "repo"))


def _record(plan: dict[str, Any]) -> PullRecord:
    licence, listed = text(plan, "licence"), plan.get("files")
    root = text(plan, "root") if plan.get("folder") is True else None
    entries = listed if isinstance(listed, list) else []
    return PullRecord(
        name=PurePosixPath(text(plan, "name")).name,
        repo=text(plan, "repo"),
        revision=text(plan, "revision"),
        licence="" if licence == _UNKNOWN_LICENCE else licence,
        files=tuple(_file(entry, root) for entry in entries if isinstance(entry, dict)),
    )


def _file(entry: dict[str, Any], root: str | None) -> tuple[str, int, str]:
    """A file of a folder of the repository; without ``root`` it is the whole model."""
    path = PurePosixPath(text(entry, "path"))
    inner = path.relative_to(root) if root and path.is_relative_to(root) else path
    return "" if root is None else str(inner), number(entry, "size"), text(entry, "sha256")
