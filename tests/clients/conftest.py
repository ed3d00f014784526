"""The server that clients of others talk to: the starters and a model whose words are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import serving

MODELS = Path(__file__).parents[2] / "models"
STARTERS = ("starter.gguf", "starter-vision.gguf", "mmproj-starter-vision.gguf")

ONE_THREAD = 1
"""Threads of one engine wait for each other, long where several tests share the processors."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that are loaded in no time."""
    folder = tmp_path_factory.mktemp("models")
    for name in STARTERS:
        (folder / name).symlink_to(MODELS / name)
    return folder


@pytest.fixture(scope="session")
def address(models: Path) -> Iterator[str]:
    """Where the server is, without a path; leave it as it was."""
    with serving(models_dir=models, engine_threads=ONE_THREAD) as client:
        yield str(client.base_url).rstrip("/")
