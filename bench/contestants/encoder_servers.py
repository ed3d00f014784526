"""Servers of encoders: ours, and sentence-transformers behind bare routes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.contestants import process
from bench.contestants.servers import OURS, own_command, own_settings
from bench.models.encoders import Encoders

PEER = "sentence-transformers"
"""With transformers' own class for pictures, which it has none for."""
PYTHON = "SENTENCE_TRANSFORMERS_PYTHON"
MISSING = f"{PEER} not measured: {PYTHON} names no Python with it (contestants/encoder_peer.txt)."
_SCRIPT = Path(__file__).with_name("encoder_peer.py")


def contestants() -> list[str]:
    """Who can be measured here."""
    return [OURS, PEER] if os.environ.get(PYTHON) else [OURS]


@contextlib.contextmanager
def serving(who: str, models: Encoders, threads: int) -> Iterator[int]:
    """The port of a freshly started server."""
    with tempfile.TemporaryDirectory() as home:
        port = process.free_port()
        if who == OURS:
            command, env = own_command(), _settings(port, home, models, threads)
        else:
            python = Path(os.environ[PYTHON]).absolute()  # not resolved: it is a link in a venv
            command = [str(python), str(_SCRIPT), str(port), str(threads), str(models.sources)]
            env = {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
        with process.running(command, env, port, "/health"):
            yield port


def _settings(port: int, home: str, models: Encoders, threads: int) -> dict[str, str]:
    more = {
        "DATABASE_URL": f"sqlite:///{home}/encoders.db",
        "MODELS_DIR": str(models.exports),
        "ENGINE_THREADS": str(threads),
        "ENABLE_ECHO": "true",  # without a chat model the server would not be healthy
    }
    return own_settings(port, **more)
