"""A folder from which commands are called, with a server of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.mcp.stdio import free_port
from tests.setup.project import ROOT


class Folder:
    """A folder from which the commands are called, with its settings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def run(
        self, *command: str, given: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        chosen = {"PORT": str(self.port), "ENABLE_ECHO": "true", "MODELS_DIR": str(self.path)}
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *command],
            cwd=self.path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **chosen, **settings},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def keeper(self) -> psutil.Process:
        """The process that keeps the server."""
        number = (self.path / "logs" / "server.state").read_text().split()[0]
        return psutil.Process(int(number))
