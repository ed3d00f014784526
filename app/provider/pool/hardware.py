"""What the machine has: memory, GPUs, cores."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_METAL_SHARE = 0.75
"""Of its memory macOS lets the GPU have by default."""


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Bytes of all GPUs together, as the driver reports them."""

    total: int
    free: int


def ram() -> int:
    """Bytes of RAM that this process may use: the machine's, or less inside a container."""
    limits = [psutil.virtual_memory().total]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text()))
    return int(min(limits))


def gpu_memory() -> GpuMemory | None:
    """Ask NVIDIA's driver, or take the share of the RAM that Metal gives; None without a GPU."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        memory = psutil.virtual_memory()
        total = int(memory.total * _METAL_SHARE)
        return GpuMemory(total, min(total, memory.available))
    return _nvidia()


def _nvidia() -> GpuMemory | None:
    import pynvml  # noqa: PLC0415 — only who uses a GPU pays for it

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        told = [pynvml.nvmlDeviceGetMemoryInfo(handle) for handle in handles]
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
    if not told:
        return None
    return GpuMemory(sum(one.total for one in told), sum(one.free for one in told))


def held_by(pid: int) -> int:
    """Bytes of RAM that a process holds, mapped weights included; 0 when it has ended."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def physical_cores() -> int:
    """Cores that this process may use; a hyper-thread more makes the arithmetic slower."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, usable or 1))
