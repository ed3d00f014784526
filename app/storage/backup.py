"""Backs up the database while servers use it."""

from __future__ import annotations

import sqlite3
import time
from itertools import count
from pathlib import Path

from sqlalchemy import Engine

from app.storage import postgres_dump
from app.storage.database import DatabaseRefused, display_url, open_engine, parse_url
from app.storage.sqlite_copy import copy_database

END = ".bak"
"""Of the names of all copies; git ignores them."""


def back_up(url: str, file: Path | None = None) -> Path:
    """Write a consistent copy and return where it is; without ``file`` the name holds the time.

    Raises DatabaseRefused if there is no database, or no room, or a file of that name.
    """
    engine = open_engine(parse_url(url))
    target = file or new_name(engine)
    try:
        if engine.dialect.name == "sqlite":
            _copy(engine, target)
        else:
            postgres_dump.dump(engine, target)
    except FileExistsError as error:
        raise DatabaseRefused(f"{target} exists already: name another file.") from error
    except (sqlite3.Error, OSError) as error:
        raise DatabaseRefused(f"The copy {target} could not be made: {error}.") from error
    finally:
        engine.dispose()
    return target


def _copy(engine: Engine, target: Path) -> None:
    source = Path(str(engine.url.database))
    if not source.exists():
        raise DatabaseRefused(f"There is no database {display_url(engine.url)} yet.")
    copy_database(source, target)


def new_name(engine: Engine, label: str = "") -> Path:
    """A name that no file has: beside an SQLite file, else in the current folder."""
    stem = name_without_time(engine, label)
    now = time.strftime("%Y%m%d-%H%M%S")
    for number in count(1):
        extra = f"-{number}" if number > 1 else ""
        path = stem.with_name(f"{stem.name}.{now}{extra}{END}")
        if not path.exists():
            return path
    raise AssertionError


def name_without_time(engine: Engine, label: str = "") -> Path:
    """What the names of all copies of a database with this label begin with."""
    name = str(engine.url.database)
    if engine.dialect.name != "sqlite":
        name = name.replace("/", "_")
    return Path(f"{name}.{label}" if label else name)
