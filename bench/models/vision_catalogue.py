"""The models that are shown pictures: the vision starter in each format, and generated ones."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.contestants.process import ROOT
from bench.contestants.servers import LLAMA_SERVER, MLX_LOOP, MLX_VLM_SERVER, RAW
from bench.models import qwen2_vl


@dataclass(frozen=True)
class Kind:
    """One engine's models, the library it needs, and who else runs them.

    ``shape`` is the generated model, empty where there is none. ``baseline`` is the module that
    only encodes pictures, with its name in the report. ``size`` is
    that of the pictures in pixels, whole tiles of 28, and ``slower`` divides their number, so that
    a slow library does not take most of the time.
    """

    starter: str
    library: str
    shape: str = ""
    server: str = ""
    baseline: tuple[str, str] = ("", "")
    size: tuple[int, int] = (0, 0)
    slower: int = 1

    @property
    def tokens(self) -> int:
        """What such a picture becomes."""
        width, height = self.size
        return width // qwen2_vl.SIDE * (height // qwen2_vl.SIDE)


KINDS = {
    "gguf": Kind(
        "starter-vision.gguf",
        "llama_cpp",
        "qwen2vl-0.5b-random-q8_0.gguf",
        LLAMA_SERVER,
        ("mtmd", RAW),
        size=(560, 420),
    ),
    "mlx": Kind(
        "starter-vision-mlx",
        "mlx_vlm",
        "mlx-vision-0.5b-bf16",
        MLX_VLM_SERVER,
        ("mlx_vlm", MLX_LOOP),
        size=(280, 140),
        slower=6,
    ),
    "pytorch": Kind("starter-vision-hf", "torch"),
    "hyperclovax": Kind("starter-vision-hyperclovax", "torch"),
}


def starter(engine: str) -> Path | None:
    """The vision starter for an engine; None without it or without the engine's library."""
    path = ROOT / "models" / KINDS[engine].starter
    return path if path.exists() and _installed(engine) else None


def shape(engine: str, cache: Path) -> Path | None:
    """The generated model for an engine, written unless it is there; None where it cannot be."""
    kind = KINDS[engine]
    if not kind.shape or not _installed(engine):
        return None
    path = cache / kind.shape
    if path.suffix == ".gguf":
        return qwen2_vl.ensure(path)
    if not path.exists():
        command = [sys.executable, "-m", "bench.models.mlx_vision", str(path)]
        subprocess.run(command, check=True, cwd=ROOT)
    return path


def missing() -> list[str]:
    """What is not measured, and why."""
    remarks = []
    for engine, kind in KINDS.items():
        if not _installed(engine):
            remarks.append(f"Pictures on {engine} not measured: {kind.library} is not installed.")
        elif not starter(engine):
            remarks.append(f"Answers about pictures on {engine} not measured: no {kind.starter}.")
    return remarks


def _installed(engine: str) -> bool:
    return importlib.util.find_spec(KINDS[engine].library) is not None
