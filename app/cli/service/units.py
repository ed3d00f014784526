"""Files for the system's own service managers, with the paths of this installation."""

from __future__ import annotations

import plistlib
from collections.abc import Callable
from pathlib import Path

from app.cli.project import PROJECT, RUN
from app.cli.service.control import LONGEST_STOP
from app.cli.service.state import LOG

LABEL = "io.github.fastapi-sllm-api"
BETWEEN_RESTARTS = 5
"""Seconds."""


def systemd() -> str:
    """A unit of the user (systemd.unit(5)): it starts again after a crash, and at login."""
    return f"""[Unit]
Description=FastAPI SLLM API
After=network-online.target

[Service]
WorkingDirectory={PROJECT}
ExecStart={_quoted(RUN)} serve
Restart=on-failure
RestartSec={BETWEEN_RESTARTS}
TimeoutStopSec={LONGEST_STOP:.0f}
KillMode=mixed
NoNewPrivileges=true

[Install]
WantedBy=default.target
"""


def _quoted(path: Path) -> str:
    """A path in a command of a unit, where a percent sign stands for something else."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def launchd() -> str:
    """An agent of the user (launchd.plist(5)): the same on macOS."""
    agent = {
        "Label": LABEL,
        "ProgramArguments": [str(RUN), "serve"],
        "WorkingDirectory": str(PROJECT),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": BETWEEN_RESTARTS,
        "ExitTimeOut": int(LONGEST_STOP),
        "StandardOutPath": str(PROJECT / LOG),
        "StandardErrorPath": str(PROJECT / LOG),
    }
    return plistlib.dumps(agent).decode()


UNITS: dict[str, Callable[[], str]] = {"systemd": systemd, "launchd": launchd}
"""By the names that ``sllm unit`` takes."""
