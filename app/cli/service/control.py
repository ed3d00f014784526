"""``sllm start``, ``stop``, ``status`` and ``ps``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import typer

from app.cli.health import health_of
from app.cli.output import fail, print_table, size_text
from app.cli.service.log import tail
from app.cli.service.state import LOG, running

PAUSE = 0.05
LONGEST_STOP = 30.0
"""Seconds: running answers are saved, and engines end."""
SHOWN_LINES = 20
"""Of the log, where a start fails."""
NOT_RUNNING = 3
"""Exit status of ``status``, as init scripts have it (LSB)."""


def start() -> None:
    """Start a server in the background and wait until it answers."""
    if found := running():
        fail(f"The server runs already, at {found.address or 'no address yet'}.")
    keeper = subprocess.Popen(
        [sys.executable, "-m", "app.cli.service.keeper"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not ((found := running()) and found.address):
        if keeper.poll() is not None:
            fail("The server did not start:\n" + "".join(tail(SHOWN_LINES)))
        time.sleep(PAUSE)
    typer.echo(f"The server runs at {found.address}; its log: {LOG}")


def stop() -> None:
    """Stop the server in the background, and wait until it has ended."""
    found = running()
    if found is None:
        typer.echo("The server does not run in the background.")
        return
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + LONGEST_STOP
    while running():
        if time.monotonic() > deadline:
            fail(f"The server has not ended after {LONGEST_STOP:.0f} s (process {found.pid}).")
        time.sleep(PAUSE)
    typer.echo("The server has ended.")


def status() -> None:
    """Print whether it runs and is well; exit with 3 where it does not run, 1 where it is ill."""
    found = running()
    if found is None:
        typer.echo("The server does not run in the background.")
        raise typer.Exit(NOT_RUNNING)
    health = health_of(found.address)
    if health is None:
        fail(f"The server (process {found.pid}) does not answer; its log: {LOG}")
    typer.echo(f"{found.address}  process {found.pid}  {health['status']}")
    for part in ("database", "model_server"):
        if (problem := health.get(part, "ok")) != "ok":
            typer.echo(f"{part.replace('_', ' ')}: {problem}")
    _print_models(health)
    if health["status"] != "ok":
        raise typer.Exit(1)


def print_models(address: str) -> None:
    """Print the models that the server at this address has loaded."""
    health = health_of(address)
    if health is None:
        fail(f"No server answers at {address}.")
    _print_models(health)


def _print_models(health: dict[str, Any]) -> None:
    rows = [
        (
            name,
            str(model["state"]),
            str(model["active"]),
            str(model["waiting"]),
            size_text(model["memory_bytes"]) if model["memory_bytes"] else "",
            model["problem"] or "",
        )
        for name, model in health["models"].items()
    ]
    print_table(("MODEL", "STATE", "ACTIVE", "WAITING", "MEMORY", "PROBLEM"), rows)
