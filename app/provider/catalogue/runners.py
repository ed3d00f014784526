"""Which engine serves a folder of safetensors, by what is installed; nothing is imported for that.

MLX is the better one on Apple silicon, PyTorch everywhere else and for what MLX does not know.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

_MLX = ("mlx", "mlx_lm")
_PYTORCH = ("torch", "transformers", "safetensors")

SEEN_BY_MLX = ("qwen2_5_vl", "qwen2_vl")
"""Architectures that the MLX engine shows pictures to."""

_ONLY_PYTORCH = ("hyperclovax_vlm", "hyperclovax_vision_v2", "vlm")
"""Architectures that no other engine here runs."""

NEITHER = (
    "It needs MLX or PyTorch, and neither is installed: run ./run.sh install mlx or "
    "./run.sh install pytorch."
)


def runner(architecture: str, *, by_mlx: bool) -> tuple[str, str | None]:
    """The engine for a folder, and why it cannot be used; ``by_mlx``: MLX wrote the weights."""
    if by_mlx:
        return "mlx", None
    if architecture in _ONLY_PYTORCH:
        return "pytorch", None
    mlx, pytorch = _installed(_MLX), _installed(_PYTORCH)
    if pytorch and not (mlx and _on_apple() and _known_to_mlx(architecture)):
        return "pytorch", None
    return ("mlx", None) if mlx else ("pytorch", NEITHER)


def _installed(libraries: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(library) for library in libraries)


def _on_apple() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _known_to_mlx(architecture: str) -> bool:
    """Whether the MLX engine has code for the architecture."""
    if architecture in SEEN_BY_MLX:
        return _installed(("mlx_vlm",))
    spec = importlib.util.find_spec("mlx_lm")
    if not (architecture.isidentifier() and spec and spec.origin):
        return False
    return (Path(spec.origin).parent / "models" / f"{architecture}.py").is_file()
