"""The server as a user starts it: a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from app.cli.serving.announcements import watch
from app.config import Settings
from app.main import create_app
from tests.provider.asking import STARTER
from tests.setup.project import ROOT


@contextmanager
def serving(models: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    chosen = {"MODELS_DIR": str(models), "PORT": "0", "PYTHONPATH": str(ROOT)} | settings
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        env={"PATH": os.environ["PATH"], **chosen},
        cwd=models,  # no .env there
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_prints_addresses_that_answer_then_that_the_model_is_ready(tmp_path: Path) -> None:
    with serving(tmp_path, ENABLE_ECHO="true") as server:
        assert server.stdout
        addresses = []
        for line in server.stdout:
            addresses += [word for word in line.split() if word.startswith("http://")]
            if "Ctrl-C" in line:
                break
        assert [httpx.get(address, timeout=60).status_code for address in addresses] == [200] * 4
        assert server.stdout.readline() == "echo is ready.\n"


def test_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    with serving(tmp_path, ENABLE_ECHO="true", LOG_LEVEL="ERROR") as server:
        assert server.stdout
        while server.stdout.readline() != "echo is ready.\n":
            assert server.poll() is None
        server.send_signal(signal.SIGINT)
        _, log = server.communicate(timeout=60)
        assert log == ""


async def test_a_default_model_that_cannot_be_loaded_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "half.gguf").write_bytes(STARTER.read_bytes()[:1_000_000])
    database = f"sqlite:///{tmp_path}/sllm.db"
    app = create_app(Settings(models_dir=tmp_path, database_url=database))
    async with app.router.lifespan_context(app) as state, asyncio.timeout(60):
        assert state
        await watch(state["pool"], state["after_start"].preloading)  # the log says why


def test_busy_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        _fails(tmp_path, f"Port {port} is in use", PORT=str(port))


def test_open_bind_without_key(tmp_path: Path) -> None:
    _fails(tmp_path, "Set API_KEYS=", HOST="::")


def test_address_of_another_machine(tmp_path: Path) -> None:
    _fails(
        tmp_path, "HOST=192.0.2.1 is not an address of this machine", HOST="192.0.2.1", API_KEYS="k"
    )


def test_wrong_setting(tmp_path: Path) -> None:
    _fails(tmp_path, "PORT=99999: Input should be less than or equal to 65535.", PORT="99999")


def _fails(models: Path, sentence: str, **settings: str) -> None:
    with serving(models, **settings) as server:
        _, log = server.communicate(timeout=60)
        assert server.returncode == 1
        assert sentence in log
        assert len(log.splitlines()) == 1, log
