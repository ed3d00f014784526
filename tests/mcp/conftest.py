"""Servers for all tests of the protocol: one with starters and two owners, one to stop calls of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import ONE_THREAD, link_models, serving
from tests.http.test_disconnects import engines
from tests.mcp.connecting import KEYS
from tests.mcp.stopping import EchoServer

STARTERS = (
    "starter.gguf",
    "starter-vision.gguf",
    "mmproj-starter-vision.gguf",
    "starter-embed",
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client with the first key; leave the server as it was."""
    folder: Path = tmp_path_factory.mktemp("models")
    link_models(folder, *STARTERS)
    with serving(models_dir=folder, engine_threads=ONE_THREAD, api_keys=KEYS) as client:
        client.headers["authorization"] = f"Bearer {KEYS[0]}"
        yield client


@pytest.fixture(scope="session")
def echo_server(empty_models: Path) -> Iterator[EchoServer]:
    """One with a single engine, which may be suspended."""
    before = engines()
    with serving(models_dir=empty_models) as client:
        assert client.post("/api/v1/chat", json={"message": "hi"}).is_success
        (engine,) = {child for child in engines() - before if _is_engine(child)}
        yield EchoServer(client, engine)


def _is_engine(process: psutil.Process) -> bool:
    return "app.provider" in " ".join(process.cmdline())
