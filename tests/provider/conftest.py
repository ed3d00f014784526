from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.provider.engine import missing_library
from app.provider.runtime.host import EngineHost
from tests.conftest import link_models
from tests.cpu_time import REFERENCE_CLOCK
from tests.provider.asking import host_of
from tests.provider.paged_model import write_paged
from tests.provider.upstream.servers import Server, own_server, remote_host

ENGINES_OF_CONTRACT = (
    "gguf",
    "onnx",
    "pytorch",
    "mlx",
    "echo",
    "onnx-paged",
    "upstream",
    "upstream-starter",
)
"""Every engine that the contract suite runs on. New engines join here: those that
draw tokens before ``echo``.

``onnx-paged`` is the ONNX engine for GPUs, with a stand-in for a model. ``upstream`` passes on to
another server of ours: to its model echo, or to its starter.
"""


@pytest.fixture(scope="session")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another server of ours, with the starter and the echo models."""
    folder = tmp_path_factory.mktemp("other_server")
    link_models(folder, "starter.gguf")
    with own_server(folder) as server:
        yield server


def contract_host(name: str, folder: Path, request: pytest.FixtureRequest) -> EngineHost:
    """A host that is not started; the test is skipped where the engine's library is missing."""
    engine, _, paged = name.partition("-")
    if engine == "upstream":
        server: Server = request.getfixturevalue("other_server")
        return remote_host(server.url, paged or "echo")
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    return host_of(engine, path=write_paged(folder / "model") if paged else None)


@pytest.fixture
async def gguf() -> AsyncIterator[EngineHost]:
    host = host_of("gguf")
    yield host
    await host.stop()


@pytest.fixture
def reference_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the budgets be those of the reference machine, however fast this one is.

    Collecting the garbage of the whole test run would count as time of a file.
    """
    for module in ("headers.budget", "catalogue.scan", "catalogue.walk"):
        monkeypatch.setattr(f"app.provider.{module}.time", REFERENCE_CLOCK)
    gc.freeze()
    yield
    gc.unfreeze()
