"""Every answer that ends matches its random schema, and every call its random tool."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.provider.engine import missing_library
from app.provider.runtime.host import EngineHost
from tests.provider.asking import host_of
from tests.selection import matrix
from tests.structured.answers import Tally, ask_schemas, ask_tools

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["gguf", *matrix("onnx", "mlx", "pytorch")]
)
async def host(request: pytest.FixtureRequest) -> AsyncIterator[EngineHost]:
    if library := missing_library(request.param):
        pytest.skip(f"{request.param}: {library} is not installed")
    host = host_of(request.param)
    yield host
    await host.stop()


def check(tally: Tally, count: int) -> None:
    assert not tally.wrong
    assert tally.ends["valid"] + tally.ends["cut"] == count
    assert tally.ends["cut"] <= count // 10


async def test_random_schemas(host: EngineHost) -> None:
    check(await ask_schemas(host, range(40)), 40)


async def test_random_tools(host: EngineHost) -> None:
    check(await ask_tools(host, range(8)), 8)
