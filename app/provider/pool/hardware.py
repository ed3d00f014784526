"""Asks the machine for its memory, GPUs and cores."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_CPUS = Path("/sys/devices/system/cpu")
_METAL_SHARE = 0.75
"""Share of the RAM that macOS gives to the GPU by default."""


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Bytes of all GPUs together, as the driver reports them."""

    total: int
    free: int


def ram() -> int:
    """Bytes of RAM that this process may use; a container may have less than the machine."""
    import psutil  # noqa: PLC0415 — a start measures nothing

    limits = [psutil.virtual_memory().total]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text()))
    return int(min(limits))


def gpu_memory(devices: str = "") -> GpuMemory | None:
    """Ask NVIDIA's driver, or take the share of the RAM that Metal gives; None without a GPU.

    ``devices`` are the GPUs of NVIDIA to count, as in CUDA_VISIBLE_DEVICES ("": all).
    """
    import psutil  # noqa: PLC0415 — a start measures nothing

    if platform.system() == "Darwin" and platform.machine() == "arm64":
        memory = psutil.virtual_memory()
        total = int(memory.total * _METAL_SHARE)
        return GpuMemory(total, min(total, memory.available))
    return _nvidia(devices)


def _nvidia(devices: str) -> GpuMemory | None:
    import pynvml  # noqa: PLC0415 — imported only where a GPU is used

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        infos = [pynvml.nvmlDeviceGetMemoryInfo(handle) for handle in _handles(devices)]
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
    if not infos:
        return None
    return GpuMemory(sum(one.total for one in infos), sum(one.free for one in infos))


def _handles(devices: str) -> Iterator[Any]:
    """The driver's handles of GPUs that are named by number or by UUID; of all without a name.

    A name that the driver does not know ends the list, as it does for CUDA.
    """
    import pynvml  # noqa: PLC0415 — imported only where a GPU is used

    names = devices.split(",") if devices else map(str, range(pynvml.nvmlDeviceGetCount()))
    for name in map(str.strip, names):
        try:
            yield (
                pynvml.nvmlDeviceGetHandleByIndex(int(name))
                if name.isdigit()
                else pynvml.nvmlDeviceGetHandleByUUID(name)
            )
        except pynvml.NVMLError:
            return


def resident_bytes(pid: int, *, descendants: bool = False) -> int:
    """Bytes of RAM that a process holds, mapped weights included; 0 when it has ended.

    With ``descendants``, those of the processes that it has started are added.
    """
    import psutil  # noqa: PLC0415 — a start measures nothing

    held = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        held = int(process.memory_info().rss)
        for child in process.children(recursive=True) if descendants else ():
            with contextlib.suppress(psutil.Error):
                held += int(child.memory_info().rss)
    return held


def all_resident_bytes(processes: Iterable[tuple[int | None, bool]]) -> list[int]:
    """``resident_bytes`` of each process (None: 0), with its descendants where that is asked."""
    return [resident_bytes(pid, descendants=more) if pid else 0 for pid, more in processes]


def physical_cores() -> int:
    """Physical cores that this process may use; hyper-threads slow the arithmetic down."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(_cores(), usable or 1))


def _cores() -> int:
    """Physical cores of the machine."""
    # Linux names the hyper-threads of each core. psutil reads the same, but a health check asks
    # for this number, and the library is slow to import.
    if lists := list(_CPUS.glob("cpu[0-9]*/topology/core_cpus_list")):
        return len({threads.read_text() for threads in lists})
    import psutil  # noqa: PLC0415

    return psutil.cpu_count(logical=False) or 1
