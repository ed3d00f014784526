"""PostgreSQL for one run of the tests, made of what is installed and thrown away afterwards."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Fedora, Red Hat
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
"""Where systems put the server's programs when they are not on PATH."""

KEEPER = 'read _; "$1" -D "$2/data" -m immediate stop; rm -rf "$2"'
"""Ends the server when the tests end, in whatever way: their end of the pipe is closed then."""

FAST = "-p 5432 -c listen_addresses='' -c fsync=off -c max_connections=200"


class NotInstalled(Exception):
    """PostgreSQL's programs are not on this machine; ``str()`` says what was looked for."""


def programs() -> Path:
    """The folder of initdb and pg_ctl, newest version first; raises NotInstalled."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    if config := shutil.which("pg_config"):
        done = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        found.append(Path(done.stdout.strip()))
    for place in PLACES:
        found += sorted(map(Path, glob.glob(place)), key=_version, reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise NotInstalled(
        f"PostgreSQL's initdb was not found: not on PATH, nor in {', '.join(PLACES)}."
    )


def _version(path: Path) -> float:
    digits = "".join(c for c in path.parent.name if c.isdigit() or c == ".")
    return float(digits or 0)


class Cluster:
    """A server that listens on a Unix socket in a folder of its own."""

    def __init__(self) -> None:
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._as: dict[str, Any] = {"cwd": self.folder}
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self.folder, "nobody")
            self._as |= {"user": "nobody", "extra_groups": []}
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", self._programs / "pg_ctl", self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the tests
            **self._as,
        )
        options = ("--auth=trust", "--username=tester", "--encoding=UTF8", "--no-sync")
        self._run("initdb", *options, "--locale=C")
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"{FAST} -k {self.folder}"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop as an administrator does: connections are cut, what was committed stays."""
        self._run("pg_ctl", "-m", "fast", "stop")

    def close(self) -> None:
        """Stop for good and leave nothing."""
        assert self._keeper.stdin
        self._keeper.stdin.close()
        self._keeper.wait()

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *options]
        with (self.folder / "output").open("wb") as output:  # a pipe would stay open in the server
            done = subprocess.run(command, stdout=output, stderr=output, check=False, **self._as)
        assert done.returncode == 0, (self.folder / "output").read_text()

    def url(self, name: str) -> str:
        """What DATABASE_URL is for the database of that name."""
        return f"postgresql://tester@/{name}?host={self.folder}&port=5432"

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Make an empty database; gives its URL and drops it afterwards, whoever is using it."""
        self._execute(f"CREATE DATABASE {name}")
        yield self.url(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())
