"""Reads from a Hugging Face folder what pictures its model takes in the PyTorch engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.architectures.hyperclovax import config as hyperclovax
from app.provider.architectures.qwen_vl import SETTINGS, Scaling
from app.provider.card import Vision
from app.provider.headers.fields import section, text
from app.provider.headers.files import optional_json

NOTICE = (
    "Powered by HyperCLOVA X. NAVER's HyperCLOVA X SEED Model License Agreement applies; "
    "whoever downloads the model accepts its terms on the model's page."
)
"""The notice that NAVER's licence requires. A user's own model of that type does not need it."""

_QWEN = ("qwen2_5_vl",)
_THINK = ("hyperclovax_vision_v2", "vlm")


def vision(folder: Path, config: Mapping[str, Any], licence: str) -> Vision | None:
    """What pictures the model takes; None where it takes none. Raises ModelNotLoadable.

    ``licence`` is that of the weights, if the folder states one.
    """
    kind = text(config, "model_type")
    settings = optional_json(folder / SETTINGS)
    notice = NOTICE if licence in {"", "other"} or "hyperclova" in licence.lower() else ""
    if kind == hyperclovax.MODEL_TYPE:
        tiling = hyperclovax.parse_config(config, settings).tiling
        return Vision(tiling.fewest, tiling.most, tiling.largest, notice=notice)
    if kind in (*_QWEN, *_THINK) and section(config, "vision_config"):
        scaling = Scaling.of(settings)
        shown = notice if kind in _THINK else ""
        return Vision(scaling.min_tokens, scaling.max_tokens, scaling.max_pixels, notice=shown)
    return None
