"""The models that an engine is measured with: the starter in its format, and a generated one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.contestants.process import ROOT
from bench.models import qwen2


@dataclass(frozen=True)
class Kind:
    """One engine's models: their names, what writes the generated one, and what each needs.

    ``maker`` is a module of this package with its options; ``runs_with`` is the engine's library.
    """

    starter: str
    shape: str
    maker: tuple[str, ...]
    runs_with: str
    made_with: tuple[str, ...]


KINDS = {
    "gguf": Kind("starter.gguf", "qwen2-0.5b-random-q8_0.gguf", (), "llama_cpp", ()),
    "onnx": Kind(
        "starter-onnx",
        "onnx-0.5b-int4",
        ("onnx",),
        "onnxruntime_genai",
        ("onnx_ir", "torch", "transformers"),
    ),
    # Unquantised: on CPUs MLX multiplies packed weights many times slower.
    "mlx": Kind("starter-mlx", "mlx-0.5b-bf16", ("mlx", "0"), "mlx_lm", ("mlx_lm",)),
}


def starter(engine: str) -> Path | None:
    """The starter model for an engine; None without it or without the engine's library."""
    path = ROOT / "models" / KINDS[engine].starter
    return path if path.exists() and _installed(KINDS[engine].runs_with) else None


def shape(engine: str, cache: Path) -> Path | None:
    """The generated model for an engine, written unless it is there; None where it cannot be."""
    kind = KINDS[engine]
    path = cache / kind.shape
    if not _installed(kind.runs_with):
        return None
    if not kind.maker:
        return qwen2.ensure(path)
    if not path.exists():
        if not all(map(_installed, kind.made_with)):
            return None
        module, *options = kind.maker
        command = [sys.executable, "-m", f"bench.models.{module}", str(path), *options]
        subprocess.run(command, check=True, cwd=ROOT)
    return path


def missing(cache: Path) -> list[str]:
    """What is not measured, and why."""
    remarks = []
    for engine, kind in KINDS.items():
        if not _installed(kind.runs_with):
            remarks.append(f"{engine} not measured: {kind.runs_with} is not installed.")
        elif not (cache / kind.shape).exists() and not all(map(_installed, kind.made_with)):
            libraries = ", ".join(kind.made_with)
            remarks.append(f"{engine}, 0.5B: not measured, because writing it needs {libraries}.")
    return remarks


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
