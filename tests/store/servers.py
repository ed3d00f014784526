"""Servers as processes of their own, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.store.databases import ROOT


class Server:
    """A server on a database, with the echo engine; it can be started again and again.

    ``folder`` is where it looks for models and writes its log.
    """

    def __init__(self, database_url: str, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = settings
        self._database_url = database_url
        self._process: subprocess.Popen[str] | None = None
        self._address = ""
        self._open = threading.Event()

    def start(self) -> None:
        """Start, and return when it listens; clients do not see it before ``open``."""
        settings = {
            "DATABASE_URL": self._database_url,
            "MODELS_DIR": str(self._folder),
            "PORT": "0",
            "ENABLE_ECHO": "true",
            "CONTEXT_LENGTH": "10000000",
            "DEFAULT_MAX_TOKENS": "10000000",
            "LOG_LEVEL": "ERROR",
            "PYTHONPATH": str(ROOT),
        } | self._settings
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"],
                env={"PATH": os.environ["PATH"], **settings},
                cwd=self._folder,  # no .env there
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout
        for line in self._process.stdout:
            if "Start here" in line:
                self._address = line.split()[-1].rstrip("/")
            if "Ctrl-C" in line:
                return
        log_text = (self._folder / "log").read_text()
        raise AssertionError(f"it ended with {self._process.wait()}: {log_text}")

    def asked(self, path: str) -> httpx.Response:
        """What it answers, before clients see it."""
        return httpx.get(f"{self._address}{path}", timeout=60)

    def open(self) -> None:
        """Let clients have the address."""
        self._open.set()

    def address(self) -> str:
        """Where it listens, as soon as it does."""
        assert self._open.wait(60)
        return self._address

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def end(self) -> None:
        """End it as a supervisor does, and wait until it has ended."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        self._open.clear()
        if self._process:
            self._process.send_signal(number)
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()
            self._process = None

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    def engines(self) -> list[psutil.Process]:
        """Its engine, if one is running."""
        assert self._process
        return list(psutil.Process(self._process.pid).children())


@contextmanager
def server(database_url: str, folder: Path, **settings: str) -> Iterator[Server]:
    """One that runs and is open."""
    made = Server(database_url, folder, **settings)
    made.start()
    made.open()
    try:
        yield made
    finally:
        made.kill()
