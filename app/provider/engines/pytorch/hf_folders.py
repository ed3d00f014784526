"""Which folders of config.json and safetensors PyTorch serves. Imports nothing of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.architectures.hyperclovax import config as hyperclovax
from app.provider.architectures.qwen_vl import SETTINGS, Scaling
from app.provider.card import Vision
from app.provider.catalogue.engine_choice import NO_ENGINE, Suitability
from app.provider.catalogue.libraries import installed
from app.provider.engines.pytorch.transformers_tables import has_class
from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import section, text
from app.provider.headers.files import optional_json

PRODUCT, EXTRA = "PyTorch", "pytorch"

QWEN = "qwen2_5_vl"
THINK = ("hyperclovax_vision_v2", "vlm")
"""HyperCLOVA X Think 32B, under its native name and that of the Hub."""

NOTICE = (
    "Powered by HyperCLOVA X. NAVER's HyperCLOVA X SEED Model License Agreement applies; "
    "whoever downloads the model accepts its terms on the model's page."
)
"""What NAVER's licence wants users to be shown. Weights under another licence are not NAVER's."""

_ONLY_HERE = (hyperclovax.MODEL_TYPE, *THINK)
"""Architectures that no other engine serves."""


def suitability(architecture: str, *, by_mlx: bool) -> Suitability:
    """A good engine everywhere, except for weights that MLX wrote."""
    if by_mlx:
        return Suitability.NONE
    if architecture in _ONLY_HERE:
        return Suitability.ONLY
    there = installed("torch", "transformers", "safetensors")
    return Suitability.GOOD if there else Suitability.NOT_INSTALLED


def refusal(architecture: str, config: Mapping[str, Any]) -> str | None:
    """Why transformers would not load a folder with this config.json; None if it might."""
    if config.get("quantization_config"):
        return "Its weights are packed: take the original model."
    return None if _loads(architecture) else NO_ENGINE.format(architecture or "(none is named)")


def vision(
    folder: Path, config: Mapping[str, Any], licence: str
) -> tuple[Vision | None, str | None]:
    """What images the model takes, and what is wrong with its files about that.

    ``licence`` is that of the weights, as far as the folder states one.
    """
    try:
        return _vision(folder, config, licence), None
    except ModelNotLoadable as error:
        return None, str(error)


def _vision(folder: Path, config: Mapping[str, Any], licence: str) -> Vision | None:
    kind = text(config, "model_type")
    settings = optional_json(folder / SETTINGS)
    notice = NOTICE if licence in {"", "other"} or "hyperclova" in licence.lower() else ""
    if kind == hyperclovax.MODEL_TYPE:
        tiling = hyperclovax.parse_config(config, settings).tiling
        return Vision(tiling.fewest, tiling.most, tiling.largest, notice=notice)
    if kind in (QWEN, *THINK) and section(config, "vision_config"):
        scaling = Scaling.of(settings)
        return Vision(
            scaling.min_tokens,
            scaling.max_tokens,
            scaling.max_pixels,
            notice=notice if kind in THINK else "",
        )
    return None


def _loads(architecture: str) -> bool:
    """Whether transformers has a language model of that type; true where it is not installed."""
    if architecture in (*_ONLY_HERE, QWEN):
        return True
    return has_class(architecture, "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")
