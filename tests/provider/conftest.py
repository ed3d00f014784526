from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.provider.engine import missing_library
from app.provider.runtime.host import EngineHost
from tests.cpu_time import REFERENCE_CLOCK
from tests.provider.asking import host_of
from tests.provider.paged_model import write_paged

ENGINES_OF_CONTRACT = ("gguf", "onnx", "pytorch", "mlx", "echo", "onnx-paged")
"""Every engine that the contract suite runs on. New engines join here: those that
draw tokens before ``echo``.

``onnx-paged`` is the ONNX engine for GPUs, with a stand-in for a model.
"""


def contract_host(name: str, folder: Path) -> EngineHost:
    """A host that is not started; the test is skipped where the engine's library is missing."""
    engine, _, paged = name.partition("-")
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
