"""One server for all tests of the protocol: the starters, echo, and two owners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ONE_THREAD, link_models, serving
from tests.mcp.connecting import KEYS

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
