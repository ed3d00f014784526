from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model_server.config import ServerConfig
from tests.provider.model_server.processes import end_servers, server_config


@pytest.fixture(autouse=True)
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sockets for one test: a short path. No server is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="ms-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    end_servers()
    shutil.rmtree(folder)


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    return server_config(tmp_path)
