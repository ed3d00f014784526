"""Environments for clients of others: pinned, made once, apart from ours and from each other.

One is a virtual environment in ``.cache/clients``, named after the file of its requirements and
what is in it. So a change of a version makes a new one, and what is there needs no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / ".cache" / "clients"


def python_with(name: str) -> Path:
    """The interpreter of the environment with ``name``.txt; without the index it is skipped."""
    requirements = HERE / f"{name}.txt"
    content = requirements.read_bytes() + sys.version.encode()
    folder = KEPT / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _skip_offline(name)
            _make(folder, requirements)
    return folder / "bin" / "python"


def _skip_offline(name: str) -> None:
    if os.environ.get("OFFLINE") != "1":
        return
    reason = f"{name} needs the package index once: OFFLINE=1 is set"
    assert os.environ.get("CI") != "true", reason
    pytest.skip(reason)


def _make(folder: Path, requirements: Path) -> None:
    venv.create(folder, clear=True, with_pip=True)
    command: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
    ]
    done = subprocess.run(
        [*command, "--requirement", requirements], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (folder / "complete").touch()


def run(python: Path, script: str, *arguments: str) -> str:
    """What a script of that client prints; it fails the test when it fails."""
    done = subprocess.run(
        [python, HERE / "scripts" / script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
