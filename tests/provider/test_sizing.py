"""What models would take on this machine, and what the machine says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from app.provider.catalogue.scan import scan
from app.provider.engine import EngineLimits
from app.provider.memory import GpuPolicy
from app.provider.pool.eviction import MemoryClaim
from app.provider.pool.hardware import gpu_memory, physical_cores, ram, resident_bytes
from app.provider.pool.sizing import Sizing
from tests.provider.asking import STARTER

MB = 2**20
LIMITS = EngineLimits(threads=0, kv_cache_bytes=8 * MB, prefix_cache_bytes=8 * MB)
CARD = next(card for card in scan(STARTER.parent) if card.id == "starter")
IDLE, BUSY = (
    MemoryClaim("a", "chat", 0, 6 * MB, idle=True),
    MemoryClaim("b", "chat", 0, 6 * MB, idle=False),
)


@pytest.mark.parametrize(
    ("available", "claims", "layers"),
    [
        pytest.param(64, [], -1, id="all of it"),
        pytest.param(9, [], 2, id="half of it"),
        pytest.param(9, [IDLE], 2, id="an idle model will leave"),
        pytest.param(15, [BUSY], 2, id="a model in use keeps what it has"),
        pytest.param(6, [BUSY], 0, id="nothing is left"),
    ],
)
def test_layers_for_the_gpu(available: int, claims: list[MemoryClaim], layers: int) -> None:
    sizing = Sizing(LIMITS, 2, 0, GpuPolicy(available * MB))
    estimate = sizing.estimate(CARD, claims)
    assert estimate.limits.gpu_layers == layers
    assert estimate.gpu <= available * MB
    assert estimate.budget.gpu == available * MB


def test_without_a_gpu_policy_nothing_goes_there() -> None:
    estimate = Sizing(LIMITS, 2, 0, None).estimate(CARD, [])
    assert (estimate.limits.gpu_layers, estimate.gpu, estimate.budget.gpu) == (0, 0, None)
    assert estimate.budget.ram == int(0.8 * ram())
    assert estimate.limits.threads == physical_cores()


OPEN = EngineLimits(kv_cache_bytes=0, prefix_cache_bytes=0)
LONG = replace(CARD, context_length=2**20)
"""With it, keys and values take all bytes that there are for them."""


@pytest.mark.parametrize(
    ("ram_mb", "kv_mb"),
    [
        pytest.param(2**20, 4096, id="much"),
        pytest.param(16 * 1024, 2048, id="an eighth"),
        pytest.param(2048, 512, id="not less than before"),
        pytest.param(300, 512, id="where nothing fits"),
    ],
)
def test_keys_and_values_get_a_share_of_the_budget(ram_mb: int, kv_mb: int) -> None:
    estimate = Sizing(OPEN, 2, ram_mb * MB, None).estimate(LONG, [])
    assert estimate.limits.kv_cache_bytes == kv_mb * MB
    assert estimate.need.kv <= kv_mb * MB
    stated = replace(OPEN, kv_cache_bytes=7 * MB)
    assert Sizing(stated, 2, ram_mb * MB, None).estimate(LONG, []).limits.kv_cache_bytes == 7 * MB


def test_the_share_takes_no_layer_from_the_gpu() -> None:
    def kv_megabytes(gpu_megabytes: int) -> int:
        sizing = Sizing(OPEN, 2, 64 * 1024 * MB, GpuPolicy(gpu_megabytes * MB))
        return sizing.estimate(large, []).limits.kv_cache_bytes // MB

    large = replace(LONG, size_bytes=7000 * MB)
    assert kv_megabytes(7900) == 512
    assert kv_megabytes(16_000) == 2000


def test_the_machine_has_memory_and_this_process_holds_some() -> None:
    assert 2**28 < ram() <= psutil.virtual_memory().total
    assert 2**20 < resident_bytes(os.getpid()) < ram()
    assert resident_bytes(2**22 + 1) == 0


def test_hyper_threads_are_no_cores() -> None:
    assert 1 <= physical_cores() <= (psutil.cpu_count(logical=False) or 1)


DRIVER = """
#include <string.h>
typedef struct { unsigned long long total, free, used; } Memory;
static const char *uuids[] = {"GPU-a", "GPU-b"};
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index > 1) return 2;
    *device = (void *) uuids[index]; return 0;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    for (unsigned index = 0; index < 2; index++)
        if (!strcmp(uuid, uuids[index])) return nvmlDeviceGetHandleByIndex_v2(index, device);
    return 6;
}
int nvmlDeviceGetMemoryInfo(void *device, Memory *memory) {
    int first = device == uuids[0];
    memory->total = first ? 8000 : 40000; memory->free = first ? 6000 : 34000;
    memory->used = memory->total - memory->free; return 0;
}
"""


LOADING = """
from app.provider.pool.eviction import MemoryClaim
from app.provider.memory import GpuPolicy
from app.provider.pool.sizing import Sizing
from tests.provider.test_sizing import CARD, LIMITS
claims = [MemoryClaim("a", "chat", 0, held, idle=False) for held in (6_000, 30_000)]
print([Sizing(LIMITS, 2, 0, GpuPolicy()).estimate(CARD, [one]).budget.gpu for one in claims])
"""

SHARED = """
from app.provider.memory import GpuPolicy
from app.provider.pool.sizing import Sizing
from tests.provider.test_sizing import CARD, LIMITS
policies = [
    GpuPolicy(share=0.5), GpuPolicy(share=0.9), GpuPolicy(9_000, share=0.5),
    GpuPolicy(30_000, share=0.5), GpuPolicy(share=0.5, devices="1"), GpuPolicy(devices="0"),
]
print([Sizing(LIMITS, 2, 0, policy).estimate(CARD, []).budget.gpu for policy in policies])
"""

DEVICES = """
from app.provider.pool.hardware import gpu_memory
print([m and m.total for m in map(gpu_memory, ["1", "1, 0", "GPU-a", "1,7,0", "-1", "MIG-x"])])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the driver's library is named otherwise")
@pytest.mark.parametrize(
    ("probe", "printed"),
    [
        pytest.param(
            "from app.provider.pool.hardware import gpu_memory; print(gpu_memory())",
            "GpuMemory(total=48000, free=40000)",
            id="it is asked",
        ),
        pytest.param(LOADING, "[46000, 48000]", id="there is no more than there is"),
        pytest.param(
            SHARED, "[24000, 40000, 9000, 24000, 20000, 6000]", id="a share is of the whole memory"
        ),
        pytest.param(
            DEVICES, "[40000, 48000, 8000, 40000, None, None]", id="of the GPUs that are visible"
        ),
    ],
)
def test_a_driver(tmp_path: Path, probe: str, printed: str) -> None:
    """A library with the driver's entry points stands in for the driver."""
    source, library = tmp_path / "nvml.c", tmp_path / "libnvidia-ml.so.1"
    source.write_text(DRIVER)
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env=dict(os.environ) | {"LD_LIBRARY_PATH": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == printed


def test_without_a_driver_there_is_no_gpu() -> None:
    if not Path("/proc/driver/nvidia").exists() and sys.platform == "linux":
        assert gpu_memory() is None
