"""Copies a PostgreSQL database into a file and back, with PostgreSQL's own programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect

from app.storage.database import DatabaseRefused
from app.storage.whole_file import whole_file

MAGIC = b"PGDMP"
"""What a dump begins with."""

VERSION_TABLE = "alembic_version"
_VERSION_ROW = re.compile(rf"^COPY \S+\.{VERSION_TABLE} .*\n(\S+)\n\\\.$", re.MULTILINE)


def dump(engine: Engine, target: Path) -> None:
    """Write the whole database into a new file; raises DatabaseRefused, FileExistsError."""
    if target.exists():
        raise FileExistsError(target)
    with whole_file(target) as part:
        _run("pg_dump", f"--file={part}", "--format=custom", engine=engine)


def revision_in(file: Path) -> str | None:
    """The revision of the tables in a dump; None if they are of another program."""
    command = ("pg_restore", "--data-only", f"--table={VERSION_TABLE}", "--file=-", str(file))
    found = _VERSION_ROW.findall(_run(*command))
    return found[0] if len(found) == 1 else None


def tables_in(file: Path) -> set[str]:
    """The names of the tables in a dump."""
    lines = (line.split() for line in _run("pg_restore", "--list", str(file)).splitlines())
    # 215; 1259 16386 TABLE public conversations tester
    return {words[5] for words in lines if words[3:4] == ["TABLE"] and words[4:5] != ["DATA"]}


def load(engine: Engine, file: Path) -> None:
    """Make the database what it was when the dump was made, in one transaction.

    Tables that are not in the dump are dropped: those of a newer version would stand in the way of
    its next upgrade.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "restore.sql")
        options = ("--clean", "--if-exists", "--no-owner", "--no-acl")
        _run("pg_restore", *options, f"--file={script}", str(file))
        _run(
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--single-transaction",
            "--set=ON_ERROR_STOP=1",
            f"--command=SET client_min_messages = warning; {_drop_tables(engine)}",
            f"--file={script}",
            engine=engine,
        )


def _drop_tables(engine: Engine) -> str:
    names: Iterable[str] = inspect(engine).get_table_names()
    quoted = [engine.dialect.identifier_preparer.quote_identifier(name) for name in names]
    return f"DROP TABLE {', '.join(quoted)} CASCADE" if quoted else ""


def _run(program: str, *arguments: str, engine: Engine | None = None) -> str:
    """What a program of PostgreSQL prints; raises DatabaseRefused if it is missing or fails."""
    path = shutil.which(program)
    if path is None:
        raise DatabaseRefused(
            f"{program} was not found: install PostgreSQL's programs for clients "
            "(Debian, Ubuntu: sudo apt install postgresql-client; macOS: brew install libpq)."
        )
    target, environment = _connection(engine) if engine else ((), {})
    done = subprocess.run(
        [path, *target, *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise DatabaseRefused(f"{program} failed: {reason.rstrip('.')}.")
    return done.stdout


def _connection(engine: Engine) -> tuple[tuple[str, ...], dict[str, str]]:
    """Where the database is, and the password in a variable: everybody can read arguments."""
    from psycopg import conninfo, pq  # noqa: PLC0415

    options = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    given: Mapping[str, Any] = engine.dialect.create_connect_args(engine.url)[1]
    values = {name: value for name, value in given.items() if name in options}
    password = values.pop("password", None)
    target = ("--no-password", f"--dbname={conninfo.make_conninfo(**values)}")
    return target, {"PGPASSWORD": str(password)} if password else {}
