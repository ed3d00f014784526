from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.provider.engine import missing_library
from app.provider.runtime.host import EngineHost
from tests.provider.asking import host_of
from tests.provider.paged_model import write_paged


@pytest.fixture(params=["echo", "gguf", "onnx", "onnx-paged", "mlx", "pytorch"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineHost]:
    """Every engine that the contract suite runs on. New engines join here.

    ``onnx-paged`` is the ONNX engine for GPUs, with a stand-in for a model.
    """
    engine, _, paged = request.param.partition("-")
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    host = host_of(engine, path=write_paged(tmp_path / "model") if paged else None)
    yield host
    await host.stop()


@pytest.fixture
async def gguf() -> AsyncIterator[EngineHost]:
    host = host_of("gguf")
    yield host
    await host.stop()
