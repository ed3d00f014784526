"""Facts of the machine that figures depend on. Names neither the host nor its paths."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

PACKAGES = (
    "llama-cpp-python",
    "onnxruntime",
    "onnxruntime-genai",
    "mlx",
    "mlx-lm",
    "fastapi",
    "starlette",
    "uvicorn",
)


def cores() -> int:
    """Physical cores: the threads that every contestant gets."""
    return psutil.cpu_count(logical=False) or psutil.cpu_count() or 1


class Neighbours:
    """What other processes, and a hypervisor, take of the processor while it counts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._foreign = 0.0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count during the block. Children count as ours once they have ended."""
        begun, before = time.monotonic(), _foreign_seconds()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - begun
            self._foreign += _foreign_seconds() - before

    def percent(self) -> float:
        """Their part of all cores, 0 to 100."""
        possible = self.seconds * (os.cpu_count() or 1)
        return max(0.0, 100 * self._foreign / possible) if possible else 0.0


def _foreign_seconds() -> float:
    spent = psutil.cpu_times()
    busy = sum(getattr(spent, name, 0.0) for name in ("user", "nice", "system", "steal"))
    return float(busy) - sum(os.times()[:4])


def facts() -> dict[str, str]:
    """Processor, memory and versions, ready to print."""
    memory = round(psutil.virtual_memory().total / 2**30)
    return {
        "processor": f"{_processor()}, {cores()} physical cores, {memory} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _processor() -> str:
    """The model name: Linux tells it in a file only."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
