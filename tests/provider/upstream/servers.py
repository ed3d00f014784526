"""Other servers for the engine ``upstream``: real ones of ours, and hosts of models they serve."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.remote import RemoteModel
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy

ROOT = Path(__file__).parents[3]
PATIENCE = 120
"""Seconds in which a server starts, however busy the machine is."""


class Server:
    """A process of ours that serves its own models."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, socket: str) -> None:
        self.process = process
        self.url = url
        self.socket = socket

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def own_server(folder: Path, *, unix: bool = False, **settings: Any) -> Iterator[Server]:
    """Another server of ours, with the echo models and what is in ``folder``."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}},
        "PYTHONPATH": str(ROOT),
        "MODELS_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/upstream.db",
        "PROMPTS_DIR": str(ROOT / "prompts"),
        "ENABLE_ECHO": "true",
        "ENGINE_THREADS": "1",
        "LOG_LEVEL": "WARNING",
        **{name.upper(): str(value) for name, value in settings.items()},
    }
    where = folder / "listening"
    socket = str(folder / "api.sock") if unix else ""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.provider.upstream.serving", str(where), socket],
        env=environment,
        cwd=folder,
    )
    try:
        yield Server(process, _address(where, process), socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def _address(where: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + PATIENCE
    while not (where.exists() and where.read_text()):
        assert process.poll() is None, "the server did not start"
        assert time.monotonic() < end, "the server did not start in time"
        time.sleep(0.02)
    return where.read_text()


def remote_host(
    url: str, model: str, policy: HostPolicy | None = None, **remote: Any
) -> EngineHost:
    """A host of a model of another server; it is not started."""
    limits = {name: remote.pop(name) for name in ("slots",) if name in remote}
    named = RemoteModel("other", f"{url}/v1", model, **remote)
    spec = EngineSpec(ENGINES["upstream"], "other.upstream.json", EngineLimits(**limits), named)
    return EngineHost(spec, policy or HostPolicy())


def declare(folder: Path, name: str, url: str, **more: Any) -> None:
    """Put a declaration into a folder of models, which may be read at any moment."""
    whole = folder / f"{name}.new"
    whole.write_text(json.dumps({"base_url": f"{url}/v1", **more}))
    whole.rename(folder / f"{name}.upstream.json")
