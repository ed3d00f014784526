"""Upgrades the database to the tables of this version of the server.

Every start checks this; most find nothing to do. An SQLite file is backed up before it is changed.
An upgrade is one transaction, so that it happens completely or not at all.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from app.storage.database import DatabaseRefused, display_url, open_engine, parse_url
from app.storage.database_file import DatabaseFile
from app.storage.failures import first_line
from app.storage.schema import COLUMNS, FIRST_TABLES, SEARCH_INDEX

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
"""The newest revision in ``migrations/versions``; a start need not load them."""

ADVISORY_LOCK_KEY = 0x534C4C4D
"""Number of the advisory lock that keeps two replicas from upgrading PostgreSQL at once."""

ROOT = Path(__file__).parents[2]


def prepare(url: str) -> str | None:
    """Create or upgrade the database; return a sentence about what was done, None if nothing.

    Raises DatabaseRefused if it cannot be reached, is newer than this server, or is inconsistent.
    """
    engine = open_engine(parse_url(url))
    _create_private_file(engine)
    _free_space(engine)
    try:
        with engine.connect() as connection:
            if revision(connection) == HEAD:
                _require_schema(connection)
                return None
        return _upgrade(engine)
    except DBAPIError as error:
        raise _unusable(engine, error) from error
    finally:
        engine.dispose()


def _create_private_file(engine: Engine) -> None:
    """Create a new SQLite file that only its owner can read; SQLite itself would use the umask."""
    if engine.dialect.name == "sqlite":
        with suppress(OSError):  # it exists or cannot be made: connecting shows which
            os.close(os.open(str(engine.url.database), os.O_CREAT | os.O_EXCL, 0o600))


def _free_space(engine: Engine) -> None:
    """On a full disk, delete the reserve: SQLite needs some space even to read."""
    if engine.dialect.name == "sqlite":
        file = DatabaseFile(Path(str(engine.url.database)))
        if file.is_full():
            file.release_reserve()


def revision(connection: Connection) -> str | None:
    """The revision of the tables; None if there are none. Raises DatabaseRefused."""
    names = set(inspect(connection).get_table_names())
    rows = []
    if "alembic_version" in names:
        rows = list(connection.scalars(text("SELECT version_num FROM alembic_version")))
    if len(rows) > 1 or (not rows and names & FIRST_TABLES):
        raise _inconsistent(connection, "The tables of the database carry no single revision")
    return rows[0] if rows else None


def current_revision(url: str) -> str | None:
    """The revision of the database at this URL; None if it has no tables or does not exist.

    Raises DatabaseRefused.
    """
    engine = open_engine(parse_url(url))
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return None
    try:
        with engine.connect() as connection:
            return revision(connection)
    except DBAPIError as error:
        raise _unusable(engine, error) from error
    finally:
        engine.dispose()


def _unusable(engine: Engine, error: DBAPIError) -> DatabaseRefused:
    return DatabaseRefused(
        f"The database {display_url(engine.url)} cannot be used: {first_line(error)}."
    )


def _require_schema(connection: Connection) -> None:
    """Raise DatabaseRefused unless every table and column exists."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    missing = [name for name in (*COLUMNS, SEARCH_INDEX) if name not in names]
    for table, columns in COLUMNS.items():
        if table in names:
            present = {column["name"] for column in inspector.get_columns(table)}
            missing += [f"{table}.{column}" for column in columns if column not in present]
    if missing:
        raise _inconsistent(
            connection, f"The database says it is at revision {HEAD} but {missing[0]} is missing"
        )


def _inconsistent(connection: Connection, finding: str) -> DatabaseRefused:
    cure = (
        "restore it from a backup."
        if connection.dialect.name == "postgresql"
        else "stop all servers that use it, delete its files ending in -wal and -shm, and put the "
        "newest copy in its place, a file ending in .bak beside it."
    )
    return DatabaseRefused(f"{finding}: something changed it half-way. To go on, {cure}")


def _upgrade(engine: Engine) -> str | None:
    from alembic import command  # noqa: PLC0415 — most starts need none of it

    copy = None
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_KEY}
                )
            # Read again: another process may have upgraded while this one waited for the lock.
            if (found := revision(connection)) == HEAD:
                return None
            _require_known_revision(found)
            copy = _back_up(engine, found) if found else None
            command.upgrade(_config(connection), "head")
    except DBAPIError as error:
        if copy:
            copy.unlink()  # otherwise each new attempt would leave another copy
        raise DatabaseRefused(
            f"The database {display_url(engine.url)} could not be brought to revision {HEAD} and "
            f"is as it was: {first_line(error)}."
        ) from error
    return _report(found, copy)


def _report(found: str | None, copy: Path | None) -> str:
    if found is None:
        return f"A new database was made at revision {HEAD}."
    aside = f" A copy of the old one is {copy}." if copy else ""
    return f"The database was upgraded from revision {found} to {HEAD}.{aside}"


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes["connection"] = connection
    return config


def known_revisions() -> set[str]:
    """The revisions of ``migrations/versions``, which this version can read or upgrade."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _require_known_revision(found: str | None) -> None:
    if found is not None and found not in known_revisions():
        raise DatabaseRefused(
            f"The database is at revision {found}, which this version of the server does not know "
            f"(it knows up to {HEAD}): it was made by a newer one. Start that one, or name another "
            "database in DATABASE_URL."
        )


def _back_up(engine: Engine, found: str) -> Path | None:
    """Copy an SQLite file, which may be in use; raises DatabaseRefused if that fails."""
    from app.storage.backup import new_name  # noqa: PLC0415
    from app.storage.sqlite_copy import copy_database  # noqa: PLC0415

    if engine.dialect.name != "sqlite":
        return None
    copy = new_name(engine, found)
    try:
        copy_database(Path(str(engine.url.database)), copy)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseRefused(
            f"The database needs an upgrade, but the copy {copy} could not be made first: {error}."
        ) from error
    return copy
