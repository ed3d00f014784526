"""Which folders of config.json and safetensors MLX serves. Imports nothing of MLX."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.architectures.qwen_vl import SETTINGS, Scaling
from app.provider.card import Vision
from app.provider.catalogue.engine_choice import NO_ENGINE, Suitability
from app.provider.catalogue.libraries import folder_of, installed, source
from app.provider.headers.fields import section, text
from app.provider.headers.files import optional_json

PRODUCT, EXTRA = "MLX", "mlx"

VISION_ARCHITECTURES = ("qwen2_5_vl", "qwen2_vl")
"""Architectures that take images in this engine, through mlx-vlm."""

_NEEDS_MLX_VLM = "It needs mlx-vlm, which is not installed: run ./run.sh install mlx."
_NAME = re.compile(r"[\w-]+")


def suitability(architecture: str, *, by_mlx: bool) -> Suitability:
    """The best engine on Apple silicon, and the only one for weights that MLX wrote."""
    if by_mlx:
        return Suitability.ONLY
    if not installed("mlx", "mlx_lm"):
        return Suitability.NOT_INSTALLED
    on_apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return Suitability.BEST if on_apple and _has_code(architecture) else Suitability.POSSIBLE


def refusal(architecture: str, config: Mapping[str, Any]) -> str | None:
    """Why mlx-lm would not load a folder with this config.json; None if it might."""
    if "model_file" in config:
        return "The model brings code of its own, which is never run."
    return None if _loads(architecture) else NO_ENGINE.format(architecture or "(none is named)")


def vision(
    folder: Path, config: Mapping[str, Any], licence: str
) -> tuple[Vision | None, str | None]:
    """What images the model takes, and that mlx-vlm is missing; most models take text only here."""
    known = text(config, "model_type") in VISION_ARCHITECTURES
    if not known or not section(config, "vision_config"):
        return None, None
    scaling = Scaling.of(optional_json(folder / SETTINGS))
    takes = Vision(scaling.min_tokens, scaling.max_tokens, scaling.max_pixels)
    return takes, None if installed("mlx_vlm") else _NEEDS_MLX_VLM


def _loads(architecture: str) -> bool:
    """Whether mlx-lm has code for it under this or another name; true where it is not installed."""
    folder = folder_of("mlx_lm")
    if folder is None or not (folder / "utils.py").is_file():
        return True
    if architecture in VISION_ARCHITECTURES:
        return True
    named = bool(_NAME.fullmatch(architecture))
    if named and (folder / "models" / f"{architecture}.py").is_file():
        return True
    return named and f'"{architecture}":' in source(folder / "utils.py")


def _has_code(architecture: str) -> bool:
    """Whether mlx-lm or mlx-vlm has code under exactly this name."""
    if architecture in VISION_ARCHITECTURES:
        return installed("mlx_vlm")
    folder = folder_of("mlx_lm")
    if not architecture.isidentifier() or folder is None:
        return False
    return (folder / "models" / f"{architecture}.py").is_file()
