"""The server before an update, and that of the new version."""

from __future__ import annotations

import os
import time
from typing import Any

import psutil

from app.cli.health import health_of
from app.cli.server_address import of_settings
from app.cli.service import control
from app.cli.service.state import Running, running
from app.cli.updating.errors import CannotUpdate, StepFailed
from app.config import Settings

PAUSE = 0.1


def adopt_environment(server: Running) -> None:
    """Take the settings that the server was started with: its port and its database are meant."""
    try:
        os.environ.update(psutil.Process(server.pid).environ())
    except psutil.Error as error:
        raise CannotUpdate(
            f"The environment of the server (process {server.pid}) cannot be read: stop it first."
        ) from error


def require_no_other(settings: Settings) -> None:
    """Raise CannotUpdate if a server answers that was not started in the background."""
    here = of_settings(settings).url
    if health_of(here):
        raise CannotUpdate(
            f"The server at {here} was not started by ./run.sh start: stop it, update, and start "
            "it again."
        )


def stop() -> None:
    """Stop the server in the background, if there is one; raises typer.Exit."""
    if running():
        control.stop()


def is_well(server: Running) -> bool:
    """Whether it says that nothing is wrong."""
    return _status(health_of(server.address)) == "ok"


def wait_until_well(deadline: float, *, models: bool) -> None:
    """Wait until the server in the background is well; raises StepFailed.

    Without ``models`` its database is enough.
    """
    while (found := running()) and found.address:
        health = health_of(found.address)
        if _status(health) == "ok" or (not models and _database(health) == "ok"):
            return
        if time.monotonic() > deadline:
            raise StepFailed(f"The new version did not become healthy: {_problem(health)}")
        time.sleep(PAUSE)
    raise StepFailed("The new version has ended; see ./run.sh logs")


def _status(health: dict[str, Any] | None) -> str:
    return str(health.get("status")) if health else "silent"


def _database(health: dict[str, Any] | None) -> str:
    return str(health.get("database")) if health else "silent"


def _problem(health: dict[str, Any] | None) -> str:
    if health is None:
        return "it does not answer"
    for part in (_database(health), str(health.get("model_server", "ok"))):
        if part != "ok":
            return part
    models = health["models"].items()
    problems = (f"{name}: {model.get('problem')}" for name, model in models if model.get("problem"))
    return "; ".join(problems) or str(health.get("status"))
