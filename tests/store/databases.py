"""What tests of the database do to one behind the server's back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, make_url, text

from app.storage.database import open_engine, parse_url
from app.storage.schema import SEARCH_INDEX

ROOT = Path(__file__).parents[2]
CONFIG = Config(toml_file=ROOT / "pyproject.toml")
SCRIPTS = ScriptDirectory.from_config(CONFIG)
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
NOBODY = 65534


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection of its own, in one transaction that is committed at the end."""
    engine = open_engine(parse_url(url))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection
    engine.dispose()


def execute(url: str, *statements: str) -> None:
    with connected(url) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def make(url: str, revision: str) -> None:
    """Create the database as a server of that revision did."""
    config = Config(toml_file=ROOT / "pyproject.toml")
    with connected(url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def contents(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table but the search index."""
    with connected(url) as connection:
        names = [
            name
            for name in inspect(connection).get_table_names()
            if not name.startswith(SEARCH_INDEX)
        ]
        return {
            name: [dict(row) for row in connection.execute(_all_of(name)).mappings()]
            for name in sorted(names)
        }


def _all_of(name: str) -> Any:
    return text(f"SELECT * FROM {name} ORDER BY 1")  # noqa: S608 — the name is the database's own


def file_of(url: str) -> Path:
    return Path(str(make_url(url).database))


def copies(url: str) -> list[Path]:
    """The copies that upgrades put beside an SQLite file, whole or not."""
    return sorted(file_of(url).parent.glob("*.bak*"))


def process(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python process that speaks to this one through pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def without_rights(*paths: Path) -> Iterator[None]:
    """Be somebody who may not write to these files and folders, also where the tests are root."""
    modes = [(path, path.stat().st_mode) for path in paths]
    for path, _ in modes:
        path.chmod(0o555)
    if root := os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes:
            path.chmod(mode)
