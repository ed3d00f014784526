"""A server of several processes, as users start it, and each of these processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from tests.setup.project import ROOT
from tests.suspending import suspend

T = TypeVar("T")

LIMIT = 120.0
"""Seconds; only against hanging."""

WORKER, MODEL_SERVER, ENGINE = (
    "app.cli.serving.worker",
    "app.model_server",
    "app.provider.runtime.worker",
)
"""The modules that processes run."""


class Family:
    """All processes of one server, found by a variable that each of them inherits."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        self.environment = {"FAMILY_OF_A_TEST": self._mark}

    def all(self) -> list[psutil.Process]:
        """Those that run now."""
        return [one for one in psutil.process_iter() if self._has(one)]

    def _has(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            marked = process.environ().get("FAMILY_OF_A_TEST") == self._mark
            return bool(marked and process.status() != psutil.STATUS_ZOMBIE)
        return False

    def running(self, module: str) -> list[psutil.Process]:
        """Those that run a module."""
        return [one for one in self.all() if module in command_of(one)]

    def require_gone(self) -> None:
        """All of them end."""
        wait_until(lambda: not self.all(), lambda: [command_of(one) for one in self.all()])

    def kill(self) -> None:
        """End what is left."""
        for process in self.all():
            with suppress(psutil.Error):
                process.kill()


def wait_until(condition: Callable[[], T | None], describe: Callable[[], object] = lambda: "") -> T:
    """Wait for it, and return what it gave; a time limit is against hanging."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline, describe()
        time.sleep(0.05)
    return found


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; empty when it has ended."""
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


class Served:
    """A server that was started with ``serve --workers``, where it is, and what it has printed."""

    def __init__(
        self, process: subprocess.Popen[str], family: Family, log: Path, workers: int
    ) -> None:
        self.process = process
        self.family = family
        self.lines: list[str] = []
        self.address = ""
        self._log = log
        self._count = workers
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))

    def wait_until_ready(self) -> None:
        """Until it has said so, and all workers listen."""
        wait_until(lambda: any(" is ready" in line for line in self.lines) or self._ended())
        assert not self._ended(), self.log()
        (found,) = (line.split()[-1] for line in self.lines if "Start here" in line)
        self.address = found.rstrip("/")
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Until each worker has answered once."""
        wait_until(lambda: len(self.workers()) == self._count, self.log)
        with self.client_of_each():
            pass

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def log(self) -> str:
        return self._log.read_text()

    def workers(self) -> list[psutil.Process]:
        """By their numbers."""
        commands = [(one, command_of(one)) for one in self.family.all()]
        numbers = {one: int(command[-1]) for one, command in commands if WORKER in command}
        return sorted(numbers, key=numbers.__getitem__)

    def engines(self) -> list[psutil.Process]:
        return self.family.running(ENGINE)

    def model_servers(self) -> list[psutil.Process]:
        return self.family.running(MODEL_SERVER)

    def model_server(self) -> psutil.Process:
        (found,) = self.model_servers()
        return found

    @contextmanager
    def client_of_each(self) -> Iterator[list[httpx.Client]]:
        """A client for each worker, on a connection that this one has accepted and that is kept."""
        limits = httpx.Limits(max_connections=1, keepalive_expiry=600)
        with ExitStack() as stack:
            clients = []
            for worker in self.workers():
                client = httpx.Client(base_url=self.address, timeout=LIMIT, limits=limits)
                clients.append(stack.enter_context(client))
                with self._others_suspended(worker):
                    assert client.get("/health/live").status_code == 200
            yield clients

    @contextmanager
    def _others_suspended(self, worker: psutil.Process) -> Iterator[None]:
        others = [one for one in self.workers() if one != worker]
        try:
            for one in others:
                suspend(one)
            yield
        finally:
            for one in others:
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    def refuses(self) -> bool:
        """Whether nobody listens any more."""
        try:
            httpx.get(f"{self.address}/health/live", timeout=LIMIT)
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            return False  # it was just about to be taken
        return False

    def end(self, number: int) -> None:
        """Send a signal as it comes: a terminal sends its own to all processes of the group."""
        if number == signal.SIGTERM:
            self.process.send_signal(number)
        else:
            os.killpg(self.process.pid, number)


@contextmanager
def serving(folder: Path, /, workers: int = 2, **settings: str) -> Iterator[Served]:
    """Serve with so many workers and the echo engine; nothing is left afterwards."""
    family = Family()
    chosen = {
        "DATABASE_URL": f"sqlite:///{folder}/sllm.db",
        "ENABLE_ECHO": "true",
        "ENGINE_THREADS": "1",
        "LOG_LEVEL": "WARNING",
        "MODELS_DIR": str(folder),
        "PORT": "0",
        "PYTHONPATH": str(ROOT),
    } | settings
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--workers", str(workers)],
            env={"PATH": os.environ["PATH"], **chosen, **family.environment},
            cwd=folder,  # no .env there
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,  # a group of its own, as the shell makes one
        )
    served = Served(process, family, log, workers)
    try:
        yield served
        if process.poll() is None:
            process.terminate()
            process.wait(LIMIT)
        family.require_gone()
    finally:
        process.kill()
        process.wait()
        family.kill()
        served.reading.join()
