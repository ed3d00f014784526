"""The starters, behind a server and in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client.http import HttpBackend
from app.client.in_process import InProcess
from app.config import Settings
from tests.conftest import ONE_THREAD, link_models, serving


@pytest.fixture(scope="session")
def starters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starters")
    link_models(folder, "starter.gguf", "starter-embed")
    return folder


@pytest.fixture(scope="package")
def local(starters: Path) -> Iterator[InProcess]:
    """Models in this process; leave it as it was."""
    settings = Settings(
        _env_file=None, models_dir=starters, engine_threads=ONE_THREAD, enable_echo=True
    )
    backend = InProcess(settings)
    yield backend
    backend.close()


@pytest.fixture(scope="package")
def remote(starters: Path) -> Iterator[HttpBackend]:
    """The same models behind a server."""
    with serving(models_dir=starters, engine_threads=ONE_THREAD) as client:
        backend = HttpBackend(f"{client.base_url}/v1", None, 60, 0)
        yield backend
        backend.close()
