"""The server in the background: ``sllm start``, ``stop``, ``status``, ``logs`` and ``ps``."""

from __future__ import annotations

import configparser
import os
import plistlib
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest

from tests.selection import matrix
from tests.setup.folder import Folder
from tests.setup.project import ROOT
from tests.workers.serving import command_of

pytestmark = pytest.mark.slow


def test_a_server_in_the_background(folder: Folder) -> None:
    """All in one test: a start takes seconds."""
    assert folder.run("status").returncode == 3
    started = folder.run("start")
    assert started.returncode == 0, started.stderr
    assert folder.address in started.stdout
    assert httpx.get(f"{folder.address}/health/live", timeout=60).is_success
    again = folder.run("start")
    assert (again.returncode, "runs already" in again.stderr) == (1, True)

    asked = folder.run("chat", "echo", given="hello\nonce more\n")
    assert folder.address in asked.stdout
    assert "> hello\n> once more\n" in asked.stdout
    unknown = folder.run("chat", "gpt-5", given="hello\n")
    assert "gpt-5" in unknown.stderr

    status = folder.run("status")
    assert status.returncode == 0
    assert status.stdout.startswith(folder.address)
    for shown in (status, folder.run("ps")):
        (line,) = (line for line in shown.stdout.splitlines() if line.startswith("echo"))
        assert line.split()[1:4] == ["ready", "0", "0"]
    log = folder.run("logs", "-n", "3").stdout.splitlines()
    assert len(log) == 3
    assert "POST '/v1/chat/completions' 404" in folder.run("logs").stdout

    assert folder.run("stop").stdout == "The server has ended.\n"
    assert folder.run("status").returncode == 3
    assert "does not run" in folder.run("stop").stdout
    assert folder.run("ps").returncode == 1


def test_a_start_that_fails_says_why(folder: Folder) -> None:
    refused = folder.run("start", LOG_LEVEL="LOUD")
    assert refused.returncode == 1
    assert "LOG_LEVEL=LOUD" in refused.stderr
    with socket.socket() as other:
        other.bind(("127.0.0.1", folder.port))
        refused = folder.run("start")
        assert f"Port {folder.port} is in use" in refused.stderr
    assert folder.run("status").returncode == 3


@pytest.mark.matrix
def test_workers_in_the_background(folder: Folder) -> None:
    assert folder.run("start", WORKERS="2").returncode == 0
    family = folder.keeper().children(recursive=True)
    workers = [one for one in family if "app.cli.serving.worker" in command_of(one)]
    assert len(workers) == 2
    question = {"model": "echo", "message": "hello"}
    assert httpx.post(f"{folder.address}/api/v1/chat", json=question, timeout=60).is_success
    for shown in (folder.run("status"), folder.run("ps")):
        assert any(line.startswith("echo") for line in shown.stdout.splitlines())
    assert folder.run("health").stdout == "ok\n"
    assert folder.run("stop").stdout == "The server has ended.\n"
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive


@pytest.mark.parametrize("killed", ["server", *matrix("keeper")])
def test_nothing_is_left_when_one_of_them_is_killed(folder: Folder, killed: str) -> None:
    assert folder.run("start").returncode == 0
    keeper = folder.keeper()
    family = keeper.children(recursive=True)
    (server,) = keeper.children()
    os.kill({"keeper": keeper, "server": server}[killed].pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([keeper, *family], timeout=60)
    assert not alive
    assert folder.run("status").returncode == 3
    assert folder.run("start").returncode == 0


def test_the_log_can_be_followed(folder: Folder) -> None:
    logs = folder.path / "logs"
    logs.mkdir()
    log = logs / "server.log"
    log.write_text("first\nsecond\n")
    command = [sys.executable, "-m", "app.cli", "logs", "-f", "-n", "1"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=folder.path, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "second\n"
        with log.open("a") as file:
            file.write("third\n")
        assert process.stdout.readline() == "third\n"
        log.rename(logs / "server.log.1")
        log.write_text("in a new file\n")
        assert process.stdout.readline() == "in a new file\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_unit_for_systemd(folder: Folder) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(folder.run("unit", "systemd").stdout)
    assert unit["Service"]["ExecStart"] == f'"{ROOT}/run.sh" serve'
    assert unit["Service"]["WorkingDirectory"] == str(ROOT)


def test_an_agent_for_launchd(folder: Folder) -> None:
    agent = plistlib.loads(folder.run("unit", "launchd").stdout.encode())
    assert agent["ProgramArguments"] == [f"{ROOT}/run.sh", "serve"]
    assert agent["WorkingDirectory"] == str(ROOT)
