"""Which folders of config.json and safetensors vLLM may serve. Nothing of vLLM is imported.

vLLM has an environment of its own, so what it supports is known only when it loads a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.card import Vision
from app.provider.catalogue.engine_choice import Suitability
from app.provider.headers.fields import section, texts

PRODUCT, EXTRA = "vLLM", ""


def suitability(architecture: str, *, by_mlx: bool) -> Suitability:
    """The settings choose it, for any weights but those that MLX wrote."""
    return Suitability.NONE if by_mlx else Suitability.ON_REQUEST


def refusal(architecture: str, config: Mapping[str, Any]) -> str | None:
    """Why vLLM would not load a folder with this config.json; None if it might."""
    if texts(config, "architectures"):
        return None
    return "Its config.json names no class (architectures), which vLLM needs."


def vision(
    folder: Path, config: Mapping[str, Any], licence: str
) -> tuple[Vision | None, str | None]:
    """Images are taken by each model that has a part for them; what they cost is not known."""
    if section(config, "vision_config"):
        return Vision(), None
    return None, None
