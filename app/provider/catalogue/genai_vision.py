"""Reads from two files of a folder how a model of onnxruntime-genai takes pictures.

The library supports more model types than are named here. These have been tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.architectures.qwen_vl import Scaling
from app.provider.card import Vision
from app.provider.headers.fields import section, text
from app.provider.headers.files import optional_json

PROCESSOR = "processor_config.json"
_TYPES = ("fara", "qwen2_5_vl")


def scaling(folder: Path, model: Mapping[str, Any]) -> Scaling | None:
    """How pictures are scaled, from ``model`` of genai_config.json and the processor's file.

    None where the model takes no pictures or does so in an unknown way.
    """
    parts = [section(model, name) for name in ("decoder", "embedding", "vision")]
    decoder, _, vision = parts
    whole = all(
        text(part, "filename") for part in parts
    )  # else the graphs are split into a pipeline
    known = text(model, "type") in _TYPES and "inputs_embeds" in section(decoder, "inputs")
    if not (whole and known) or text(vision, "config_filename") not in ("", PROCESSOR):
        return None
    processor = section(optional_json(folder / PROCESSOR), "processor")
    resize, cut = (_options(processor, kind) for kind in ("Resize", "PatchImage"))
    return Scaling.of(resize | cut) if cut and resize.get("smart_resize") else None


def vision(found: Scaling) -> Vision:
    """What pictures the model takes, for the card."""
    return Vision(found.min_tokens, found.max_tokens, found.max_pixels)


def _options(processor: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The settings of the first step of that kind."""
    steps = processor.get("transforms")
    for step in steps if isinstance(steps, list) else []:
        operation = section(step, "operation") if isinstance(step, dict) else {}
        if text(operation, "type") == kind:
            return section(operation, "attrs")
    return {}
