"""Chooses the engine for a folder of safetensors by what is installed, without importing it.

MLX is the better one on Apple silicon. PyTorch serves everything else.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_MLX = ("mlx", "mlx_lm")
_PYTORCH = ("torch", "transformers", "safetensors")

MLX_VISION_MODELS = ("qwen2_5_vl", "qwen2_vl")
"""Architectures that the MLX engine runs as vision models."""

_ONLY_PYTORCH = ("hyperclovax_vlm", "hyperclovax_vision_v2", "vlm")
"""Architectures that no other engine here runs."""

_PYTORCH_VISION_MODELS = ("qwen2_5_vl",)
"""Architectures that the PyTorch engine runs as vision models, beside its own."""

_CAUSAL = "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"
_NAME = re.compile(r"[\w-]+")
_ENTRY = re.compile(r'\(\s*"([^"]+)",')

NO_ENGINE = "No engine here runs the architecture {}: a newer version may, else take another model."

NEITHER = (
    "It needs MLX or PyTorch, and neither is installed: run ./run.sh install mlx or "
    "./run.sh install pytorch."
)


def engine_for(architecture: str, *, by_mlx: bool) -> tuple[str, str | None]:
    """Name of the engine, and why it cannot be used; ``by_mlx``: MLX wrote the weights."""
    if by_mlx:
        return "mlx", None
    if architecture in _ONLY_PYTORCH:
        return "pytorch", None
    mlx, pytorch = _installed(_MLX), _installed(_PYTORCH)
    if pytorch and not (mlx and _on_apple() and _known_to_mlx(architecture)):
        return "pytorch", None
    return ("mlx", None) if mlx else ("pytorch", NEITHER)


def refusal(engine: str, architecture: str, config: Mapping[str, Any]) -> str | None:
    """Why the engine's library would not load a folder with this config.json; None if it might."""
    if engine == "mlx" and "model_file" in config:
        return "The model brings code of its own, which is never run."
    if engine == "pytorch" and config.get("quantization_config"):
        return "Its weights are packed: take the original model."
    known = _mlx_loads if engine == "mlx" else _transformers_loads
    return None if known(architecture) else NO_ENGINE.format(architecture or "(none is named)")


def _mlx_loads(architecture: str) -> bool:
    """Whether mlx-lm has code for the architecture or an alias; true where it is not installed."""
    folder = _folder_of("mlx_lm")
    if folder is None or not (folder / "utils.py").is_file() or architecture in MLX_VISION_MODELS:
        return True
    named = bool(_NAME.fullmatch(architecture))
    if named and (folder / "models" / f"{architecture}.py").is_file():
        return True
    return named and f'"{architecture}":' in _source(folder / "utils.py")


def _transformers_loads(architecture: str) -> bool:
    """Whether transformers has a language model of that type; true where it is not installed."""
    folder = _folder_of("transformers")
    table = folder and folder / "models" / "auto" / "modeling_auto.py"
    if architecture in (*_ONLY_PYTORCH, *_PYTORCH_VISION_MODELS) or not (table and table.is_file()):
        return True
    _, _, rest = _source(table).partition(f"{_CAUSAL} = ")
    names = _ENTRY.findall(rest.partition("\n)")[0])
    return not names or architecture in names


def _folder_of(library: str) -> Path | None:
    spec = importlib.util.find_spec(library)
    return Path(spec.origin).parent if spec and spec.origin else None


@lru_cache(maxsize=4)
def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _installed(libraries: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(library) for library in libraries)


def _on_apple() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _known_to_mlx(architecture: str) -> bool:
    """Whether the MLX engine has code for the architecture."""
    if architecture in MLX_VISION_MODELS:
        return _installed(("mlx_vlm",))
    spec = importlib.util.find_spec("mlx_lm")
    if not (architecture.isidentifier() and spec and spec.origin):
        return False
    return (Path(spec.origin).parent / "models" / f"{architecture}.py").is_file()
