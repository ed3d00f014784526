"""``uvicorn app.main:app``, as users of FastAPI start an application."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from app.web.bounds import BOUND_BY_SERVER
from tests.setup.project import ROOT
from tests.workers.serving import command_of

PROBE = """
import os, sys
os.environ["PORT"] = "no port"  # reading the settings would fail
import app.main
assert not hasattr(app.main, "application")
print("app" in vars(app.main), *(name for name in sys.modules if name.startswith("llama")))
"""

SAME = "import app.main as m; from app.main import app; print(app is m.app, type(app).__name__)"


class Uvicorn:
    """A running ``uvicorn``: its processes, its log and its health."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def log(self) -> str:
        """All that it has logged so far."""
        return self._log.read_text()

    def started(self, times: int) -> None:
        """Wait until the application has started so often and its model is ready."""
        deadline = time.monotonic() + 60
        while self.log().count("Application startup complete") < times or not self._ready():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def engines(self) -> set[psutil.Process]:
        """The engine processes below it."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return {child for child in below if "app.provider.runtime.worker" in command_of(child)}

    @property
    def address(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", self.log())
        assert found
        return found[0]

    def _ready(self) -> bool:
        health = httpx.get(f"{self.address}/health", timeout=60).json()
        return bool(health["models"].get("echo", {}).get("state") == "ready")


@contextmanager
def uvicorn(folder: Path, *options: str, **chosen: str) -> Iterator[Uvicorn]:
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "0", *options]
    settings = {"ENABLE_ECHO": "true", "DEFAULT_MODEL": "echo", "MODELS_DIR": str(folder)}
    settings |= {"DATABASE_URL": f"sqlite:///{folder}/sllm.db", "PYTHONPATH": str(ROOT)}
    settings |= chosen
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env={"PATH": os.environ["PATH"], **settings}, stderr=output
        ) as process,
    ):
        try:
            yield Uvicorn(process, log)
        finally:
            process.terminate()
            assert process.wait(60) in {0, -15}, log.read_text()


def locked(folder: Path) -> bool:
    """Does a process hold the database's lock?"""
    with (folder / "sllm.db-lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def until_locked(folder: Path) -> None:
    """The lock is taken just after the start."""
    deadline = time.monotonic() + 60
    while not locked(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(processes: set[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=60)[1]


@pytest.mark.parametrize(
    ("program", "printed"), [(PROBE, "False"), (SAME, "True FastAPI")], ids=["import", "ask"]
)
def test_the_application_is_made_when_it_is_first_asked_for_and_once(
    program: str, printed: str, tmp_path: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == printed
    assert list(tmp_path.iterdir()) == []  # no database


def test_a_reload_leaves_no_engine_process_and_no_lock(tmp_path: Path) -> None:
    source = tmp_path / "changed.py"
    source.touch()
    with uvicorn(tmp_path, "--reload") as server:
        server.started(1)
        first = server.engines()
        assert len(first) == 1
        until_locked(tmp_path)
        source.write_text("changed = True\n")
        server.started(2)
        second = server.engines()
        assert gone(first)
        assert len(second) == 1
        assert second.isdisjoint(first)
        assert all(bound in server.log() for bound in BOUND_BY_SERVER)
    assert gone(second)
    assert not locked(tmp_path)
    assert "Traceback" not in server.log()
