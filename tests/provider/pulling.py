"""Pulls from the small hub, in this process or in one that can be killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.provider.hub.download import fetch, find, preflight
from app.provider.hub.names import HubName, Hubs, ModelReference
from app.provider.hub.plan import INCOMING, Plan
from tests.provider.hub_server import REPO, Hub

CHUNK = 2**20
"""Bytes; the client writes no less at once."""


def hubs(hub: Hub, default: HubName = "huggingface") -> Hubs:
    return Hubs(default, {"huggingface": hub.endpoint, "modelscope": hub.endpoint})


def plan_of(hub: Hub, path: str = "", repo: str = REPO, kind: HubName = "huggingface") -> Plan:
    return find(hubs(hub), ModelReference(kind, repo, path))


def pull(hub: Hub, models: Path, path: str = "", kind: HubName = "huggingface") -> Path:
    plan = plan_of(hub, path, kind=kind)
    preflight(plan, models)
    return fetch(hubs(hub), plan, models, ignore)


def ignore(_: int) -> None:
    """Nobody watches."""


def left_over(models: Path) -> list[Path]:
    """Files of downloads that are not done."""
    return [path for path in (models / INCOMING).rglob("*") if path.is_file()]


def arrived(models: Path) -> int:
    """Bytes of downloads that are not done."""
    return sum(path.stat().st_size for path in left_over(models))


def command(hub: Hub, models: Path, *arguments: str, **settings: str) -> dict[str, Any]:
    """What to start ``sllm pull`` with."""
    given = {"HF_ENDPOINT": hub.endpoint, "MODELSCOPE_ENDPOINT": hub.endpoint}
    return {
        "args": [sys.executable, "-m", "app.cli", "pull", *arguments],
        "env": {**os.environ, **given, "MODELS_DIR": str(models), **settings},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def kill_when(ready: Callable[[], bool], **command: Any) -> None:
    """Start a command and kill it as soon as it is that far."""
    with subprocess.Popen(**command) as process:
        while not ready():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.kill()


@contextmanager
def tiny_disk(size: int) -> Iterator[Path]:
    """A file system of that many bytes; the test is skipped where none may be mounted."""
    with tempfile.TemporaryDirectory() as folder:
        mount, umount = (shutil.which(name) or "false" for name in ("mount", "umount"))
        options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system needs root")
        try:
            yield Path(folder)
        finally:
            subprocess.run([umount, folder], check=True)
