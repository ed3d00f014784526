"""The folder of an unfinished download, and how a complete model is moved into place.

``models/.incoming/<key>/content/<name>`` becomes ``models/<name>`` by one rename.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.provider.hub.errors import NameTaken
from app.provider.hub.plan import INCOMING, Plan

_DIGEST = 12
"""Characters at the end of a key that tell one revision from another."""
_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS."""
_HERE = -100
"""AT_FDCWD: paths are seen from the working directory."""


@dataclass(frozen=True, slots=True)
class StagingFolder:
    """The locked folder of one download; ``model`` is the unfinished file or folder in it."""

    folder: Path
    model: Path

    def clear(self) -> None:
        """Delete the folder with everything in it."""
        shutil.rmtree(self.folder)


@contextmanager
def claim(models_dir: Path, plan: Plan) -> Iterator[StagingFolder]:
    """Lock the folder of this download; its content stays for the next attempt.

    Raises NameTaken while another process holds the lock.
    """
    folder = models_dir / INCOMING / plan.key
    descriptor = lock_folder(folder)
    if descriptor is None:
        raise NameTaken(f"{plan.name} is being downloaded by another process.")
    try:
        yield StagingFolder(folder, folder / "content" / plan.name)
    finally:
        os.close(descriptor)


def swap(staged: StagingFolder, target: Path) -> None:
    """Replace ``target`` by the staged model; after an interruption one of both is there."""
    if not target.is_dir():
        staged.model.replace(target)
    elif not _exchange(staged.model, target):
        # After an interruption between these two, ``repair`` restores the old model.
        aside = staged.folder / "old" / target.name
        aside.parent.mkdir(exist_ok=True)
        target.rename(aside)
        staged.model.rename(target)


def repair(models_dir: Path) -> None:
    """Restore models that a killed ``swap`` had moved aside."""
    for old in (models_dir / INCOMING).glob("*/old/*"):
        with _lock_if_free(old.parents[1]) as idle:
            if idle and not (models_dir / old.name).exists():
                old.rename(models_dir / old.name)


def forget(models_dir: Path, plan: Plan) -> None:
    """Delete the staging folders of this model that no process has locked."""
    for folder in list((models_dir / INCOMING).iterdir()):
        if folder.name[:-_DIGEST] == plan.key[:-_DIGEST]:
            with _lock_if_free(folder) as idle:
                if idle:
                    shutil.rmtree(folder)


@contextmanager
def _lock_if_free(folder: Path) -> Iterator[bool]:
    """Lock a folder if it is free; yields whether it was."""
    descriptor = lock_folder(folder)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock_folder(folder: Path) -> int | None:
    """Make and lock the folder; None when another process has locked it.

    The lock ends with the descriptor that is returned, or with the process.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # The previous holder may have deleted the folder after it was opened here.
        with suppress(FileNotFoundError):
            if folder.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths atomically; False where the system cannot."""
    system = ctypes.CDLL(None)
    paths = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return bool(system.renamex_np(*paths, _EXCHANGE) == 0)
        return bool(system.renameat2(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) == 0)
    except AttributeError:
        return False
