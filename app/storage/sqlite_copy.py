"""Copies an SQLite database that may be in use."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from app.storage.whole_file import whole_file

SIDE_FILES = ("-wal", "-shm", "-journal")
"""Ends of the names of what SQLite keeps beside a database."""


def copy_database(source: Path, target: Path) -> None:
    """Make a file of what is committed; a server may go on writing meanwhile.

    The copy is one file without a write-ahead log, as private as the original. Raises
    FileExistsError if there is a file of that name, other OSErrors, or sqlite3.Error.
    """
    mode = stat.S_IMODE(source.stat().st_mode)
    with whole_file(target, mode) as part:
        try:
            with closing(_open(source)) as old, closing(sqlite3.connect(part)) as new:
                old.backup(new)
                new.execute("PRAGMA journal_mode=DELETE")
        finally:
            for path in side_files(part):
                path.unlink(missing_ok=True)


def side_files(path: Path) -> list[Path]:
    """Where SQLite keeps what belongs to a database."""
    return [path.with_name(path.name + end) for end in SIDE_FILES]


def _open(path: Path) -> sqlite3.Connection:
    """Connect to a file that exists; SQLite would make a new one."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)
