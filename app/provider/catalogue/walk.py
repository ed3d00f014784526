"""Finds the files and folders below a folder, each with a stamp that changes when it does."""

from __future__ import annotations

import os
import stat
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from app.provider.catalogue.parts import group
from app.provider.headers.files import MOST_ENTRIES, unfinished

Stamp = tuple[Any, ...]
"""Names, sizes and times of files, nested as the folders are; compared as a whole."""

_DEEPEST = 64
MOST_SECONDS = 1.0
"""Processor time of a walk; ``MOST_ENTRIES`` entries take a fraction of it."""
_MMPROJ = "mmproj"
"""Part of the name of an image encoder for the GGUF models beside it."""


class FoundPath(NamedTuple):
    """A file or a folder. ``real`` is its path without links."""

    path: str
    real: str
    stamp: Stamp
    linked: bool


@dataclass(frozen=True, slots=True)
class WalkResult:
    """Paths of a walk. Each of ``notices`` names a folder that was not walked completely."""

    paths: list[FoundPath]
    notices: list[str]


def walk(root: Path, untouched: Collection[str] = ()) -> WalkResult:
    """Everything below ``root`` that is not hidden, unfinished or ``untouched`` (real paths).

    Unreadable entries are left out. Links are followed, but not to a folder that holds ``root``. At
    most ``MOST_ENTRIES`` are visited, and each folder of ``root`` may use half of the rest, so that
    one full of other files does not hide the models beside it.
    """
    walker = _Walker(os.path.realpath(root), untouched)
    children = walker.children(str(root), os.path.realpath(root))
    if walker.is_full:
        walker.notices.append(_notice("of models"))
    return WalkResult([*children, *walker.deeper, *walker.linked()], walker.notices)


def walk_path(path: Path, untouched: Collection[str] = ()) -> list[FoundPath]:
    """The same for one file or folder; none where there is none."""
    if not path.name:
        return []  # the working folder
    parent = os.path.realpath(path.parent)
    walker = _Walker(parent, untouched, only=path.name)
    found = [*walker.children(str(path.parent), parent), *walker.linked()]
    named = [found_path for found_path in found if os.path.basename(found_path.path) == path.name]
    return [found_path for found_path in named if Path(found_path.path) == path]


def _notice(folder: str) -> str:
    return (
        f"The folder {folder} holds so many files that not all were looked at, so models there "
        "may be missing: put models into a folder of their own."
    )


class _ListedEntry(NamedTuple):
    """A file or folder as its parent lists it; for a link, ``state`` is that of its target."""

    name: str
    path: str
    real: str
    state: os.stat_result
    linked: bool

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.state.st_mode)

    @property
    def stamp(self) -> Stamp:
        state = self.state
        return self.name, state.st_size, state.st_mtime_ns, state.st_ctime_ns


class _Walker:
    """Walks folders. ``only`` is the one name to visit in the first folder."""

    def __init__(self, root: str, untouched: Collection[str], only: str = "") -> None:
        self._root = root
        self._untouched = untouched
        self._only = only
        self._left = MOST_ENTRIES
        self._end = time.thread_time() + MOST_SECONDS
        self._visited: set[str] = set()
        self._links: list[_ListedEntry] = []
        self.deeper: list[FoundPath] = []
        self.notices: list[str] = []

    def children(self, path: str, real: str, depth: int = 0) -> list[FoundPath]:
        """Entries directly in a folder; entries further down go to ``deeper``."""
        self._visited.add(real)
        entries = list(self._entries(path, real, depth)) if depth < _DEEPEST else []
        beside = _Companions(entry for entry in entries if not entry.is_folder)
        found = []
        for entry in entries:
            if entry.is_folder and entry.linked:
                self._links.append(entry)
            else:
                stamp = self._branch(entry, depth) if entry.is_folder else beside.stamp(entry)
                found.append(FoundPath(entry.path, entry.real, stamp, entry.linked))
        return found

    @property
    def is_full(self) -> bool:
        """Whether no further entry may be visited."""
        return self._left == 0

    def linked(self) -> Iterator[FoundPath]:
        """Targets of links to folders, with their content unless the walk has visited it."""
        for entry in self._links:  # grows while linked folders hold links
            if f"{self._root}/".startswith(f"{entry.real.rstrip('/')}/"):
                continue
            seen, before = entry.real in self._visited, len(self.deeper)
            stamp = () if seen else self._branch(entry, 0)
            yield FoundPath(entry.path, entry.real, stamp, linked=True)
            yield from self.deeper[before:]

    def _branch(self, folder: _ListedEntry, depth: int) -> Stamp:
        """The stamp of a folder; each folder of ``root`` may use half of the remaining entries."""
        if depth:
            return self._inner(folder, depth)
        kept = self._left - self._left // 2
        self._left -= kept
        stamp = self._inner(folder, depth)
        if self.is_full:
            self.notices.append(_notice(folder.name))
        self._left += kept
        return stamp

    def _inner(self, folder: _ListedEntry, depth: int) -> Stamp:
        """The stamp of a folder: those of everything below it."""
        inside = self.children(folder.path, folder.real, depth + 1)
        self.deeper += inside
        return (folder.name, *(found_path.stamp for found_path in inside))

    def _entries(self, path: str, real: str, depth: int) -> Iterator[_ListedEntry]:
        if time.thread_time() > self._end:
            self._left = 0
        try:
            with os.scandir(path) as listing:
                most = None if self._only and not depth else self._left
                entries = sorted(islice(listing, most), key=lambda entry: entry.name)
        except OSError:
            return
        self._left = max(0, self._left - len(entries))
        for entry in entries:
            if self._is_visible(entry.name, depth) and (found := _entry(entry, real)):
                wanted = found.name == self._only or depth or not self._only
                if found.real not in self._untouched and (wanted or not found.is_folder):
                    yield found

    def _is_visible(self, name: str, depth: int) -> bool:
        if depth == 0 and name == self._only:
            return True
        return not name.startswith(".") and not unfinished(name)


def _entry(entry: os.DirEntry[str], parent: str) -> _ListedEntry | None:
    """None for pipes, devices and dead links, except a dead link that is named like a model."""
    try:
        linked = entry.is_symlink()
        state = entry.stat(follow_symlinks=not _is_dead_model(entry))
    except OSError:
        return None
    if stat.S_IFMT(state.st_mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        return None
    real = os.path.realpath(entry.path) if linked else os.path.join(parent, entry.name)
    return _ListedEntry(entry.name, entry.path, real, state, linked)


def _is_dead_model(entry: os.DirEntry[str]) -> bool:
    """Whether it is a dead link that is named like a model."""
    named = entry.name.lower().endswith(".gguf")
    return named and entry.is_symlink() and not os.path.exists(entry.path)


class _Companions:
    """The files of a folder that belong to others: parts of split models, and mmproj files."""

    def __init__(self, files: Iterable[_ListedEntry]) -> None:
        self._mmproj_stamps: list[Stamp] = []
        self._parts: dict[object, list[Stamp]] = defaultdict(list)
        for file in files:
            if _MMPROJ in file.name:
                self._mmproj_stamps.append(file.stamp)
            if of := group(file.name):
                self._parts[of].append(file.stamp)

    def stamp(self, file: _ListedEntry) -> Stamp:
        """A stamp of the file and of all that may belong to it."""
        return (*file.stamp, *self._parts.get(group(file.name), ()), *self._mmproj_stamps)
