"""Puts a backup in the place of the database, which is kept aside."""

from __future__ import annotations

import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DBAPIError

from app.storage import postgres_dump
from app.storage.backup import new_name
from app.storage.database import DatabaseRefused, display_url, open_engine, parse_url
from app.storage.failures import first_line
from app.storage.migrate import HEAD, known_revisions, revision
from app.storage.process_lock import ProcessLock
from app.storage.schema import FIRST_TABLES
from app.storage.sqlite_copy import copy_database, side_files
from app.storage.whole_file import sync

LABEL = "replaced"
"""In the name of the database that a backup has replaced."""

SQLITE_MAGIC = b"SQLite format 3\0"


def restore(url: str, file: Path) -> str:
    """Replace the database by a backup; return a sentence about what was done.

    Raises DatabaseRefused if a server uses the database, or ``file`` is no backup of it.
    """
    engine = open_engine(parse_url(url))
    sqlite = engine.dialect.name == "sqlite"
    _require_kind(file, SQLITE_MAGIC if sqlite else postgres_dump.MAGIC, engine)
    try:
        found, aside = (_restore_file if sqlite else _restore_dump)(engine, file)
    except DBAPIError as error:
        shown = display_url(engine.url)
        raise DatabaseRefused(f"{shown} cannot be used: {first_line(error)}.") from error
    except (sqlite3.Error, OSError) as error:
        raise DatabaseRefused(f"{file} could not be restored: {error}.") from error
    finally:
        engine.dispose()
    upgrade = "" if found == HEAD else f"; the next start upgrades it to {HEAD}"
    kept = f" What it has replaced is {aside}." if aside else ""
    return f"The database is that of {file}, at revision {found}{upgrade}.{kept}"


def _require_kind(file: Path, magic: bytes, engine: Engine) -> None:
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(magic))
    except OSError as error:
        raise DatabaseRefused(f"{file} cannot be read: {error.strerror}.") from error
    if begins != magic:
        raise DatabaseRefused(f"{file} is no backup of a database like {display_url(engine.url)}.")


def _require_ours(file: Path, tables: set[str], found: str | None) -> str:
    if found is None or not tables >= FIRST_TABLES:
        raise DatabaseRefused(f"{file} is not a database of this server.")
    if found not in known_revisions():
        raise DatabaseRefused(
            f"{file} is at revision {found}, which this version of the server does not know (it "
            f"knows up to {HEAD}): update the server first."
        )
    return found


def run_alone(engine: Engine, work: Callable[[], None]) -> None:
    """Do this while no server uses the database; raises DatabaseRefused if one does."""
    began = False

    def begin() -> None:
        nonlocal began
        began = True
        work()

    lock = ProcessLock(engine)
    try:
        lock.acquire(begin)
    finally:
        lock.close()
    if not began:
        raise DatabaseRefused("A server uses the database: stop it first (./run.sh stop).")


# ---------------------------------------------------------------- SQLite


def _restore_file(engine: Engine, file: Path) -> tuple[str, Path | None]:
    path = Path(str(engine.url.database))
    if path.exists() and path.samefile(file):
        raise DatabaseRefused(f"{file} is the database itself.")
    aside = new_name(engine, LABEL) if path.exists() else None
    with _checked_copy(file, path.parent) as (copy, found):
        if aside:
            copy.chmod(stat.S_IMODE(path.stat().st_mode))
        run_alone(engine, lambda: _swap(path, copy, aside))
    return found, aside


@contextmanager
def _checked_copy(file: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """Copy the backup beside the database, and say at which revision it is."""
    with tempfile.TemporaryDirectory(".part", "restore.", folder) as temporary:
        copy = Path(temporary, "copy")
        copy_database(file, copy)
        copy.chmod(0o600)
        engine = open_engine(parse_url(f"sqlite:///{copy}"))
        try:
            found = _check(engine, file)
        finally:
            engine.dispose()
        sync(copy)
        yield copy, found


def _check(engine: Engine, file: Path) -> str:
    try:
        with engine.connect() as connection:
            problem = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
            if problem != "ok":
                raise DatabaseRefused(f"{file} is damaged: {' '.join(problem.split())}.")
            tables = set(inspect(connection).get_table_names())
            return _require_ours(file, tables, revision(connection))
    except DBAPIError as error:
        raise DatabaseRefused(f"{file} is damaged: {first_line(error)}.") from error


def _swap(path: Path, copy: Path, aside: Path | None) -> None:
    """Put the copy in place. What lies beside the database belongs to it alone and goes with it."""
    for left, kept in zip(side_files(path), side_files(aside or path), strict=True):
        if aside and left.exists():
            left.rename(kept)
        left.unlink(missing_ok=True)
    if aside:
        path.rename(aside)
    try:
        copy.rename(path)
    except OSError:
        if aside:
            aside.rename(path)
        raise
    sync(path.parent)


# ---------------------------------------------------------------- PostgreSQL


def _restore_dump(engine: Engine, file: Path) -> tuple[str, Path | None]:
    tables = postgres_dump.tables_in(file)
    found = _require_ours(file, tables, postgres_dump.revision_in(file))
    aside = new_name(engine, LABEL) if inspect(engine).get_table_names() else None
    run_alone(engine, lambda: _load(engine, file, aside))
    return found, aside


def _load(engine: Engine, file: Path, aside: Path | None) -> None:
    if aside:
        postgres_dump.dump(engine, aside)
    postgres_dump.load(engine, file)
