from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.provider.engine import missing_library
from app.provider.runtime import EngineHost
from tests.provider.asking import host_of


@pytest.fixture(params=["echo", "gguf", "onnx", "mlx"])
async def host(request: pytest.FixtureRequest) -> AsyncIterator[EngineHost]:
    """Every engine that the contract suite runs on. New engines join here."""
    if library := missing_library(request.param):
        pytest.skip(f"{request.param}: {library} is not installed")
    host = host_of(request.param)
    yield host
    await host.stop()


@pytest.fixture
async def gguf() -> AsyncIterator[EngineHost]:
    host = host_of("gguf")
    yield host
    await host.stop()
