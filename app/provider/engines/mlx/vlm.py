"""Loads Qwen2-VL and Qwen2.5-VL with mlx-vlm's model code and the weights of a folder.

Importing mlx-vlm changes transformers' processors and its log level in the whole process. So it is
imported only when such a model is loaded, in the process of that model.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import mlx.core as mx

from app.provider.engines.mlx.hf_folders import VISION_ARCHITECTURES
from app.provider.errors import ModelNotLoadable

_NAMES = (
    (re.compile(r"^(model\.)?(visual|vision_tower)\."), "vision_tower."),
    (re.compile(r"^model\.language_model\."), "language_model.model."),
    (re.compile(r"^(model|lm_head)\."), r"language_model.\1."),
)
"""Names of weights in folders of transformers 4 and 5 and of mlx-vlm → the names here."""

_HEAD = "language_model.lm_head.weight"
_PATCHES = "vision_tower.patch_embed.proj.weight"


def takes_images(config: Mapping[str, Any]) -> bool:
    """Whether this engine loads a folder with this configuration as a vision model."""
    return config.get("model_type") in VISION_ARCHITECTURES and isinstance(
        config.get("vision_config"), dict
    )


def load(folder: Path, config: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Open the model, its weights still on disk, and a configuration that mlx-vlm reads as well.

    Raises ModelNotLoadable.
    """
    flat = _flat(config)
    try:
        weights = _weights(folder)
        if flat.setdefault("tie_word_embeddings", _HEAD not in weights):
            weights.pop(_HEAD, None)
        model = _model(flat)
        if isinstance(packing := flat.get("quantization"), dict):
            _quantise(model, packing, weights)
        model.load_weights(list(weights.items()))
    except ModelNotLoadable:
        raise
    except ImportError as error:
        reason = f"Pictures need mlx-vlm, which cannot be imported: {error}"
        raise ModelNotLoadable(f"{reason}. Run ./run.sh install mlx.") from error
    except Exception as error:  # whatever its code stumbles over
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelNotLoadable(f"mlx-vlm cannot load this model: {words[0][:300]}") from error
    model.eval()
    return model, flat


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with ``text_config`` on the top level, as in the first releases."""
    text = config.get("text_config")
    inner = dict(text) if isinstance(text, dict) else {}
    flat = {**inner, **config, "model_type": config["model_type"]}
    flat.pop("text_config", None)
    rope = flat.get("rope_parameters") or flat.get("rope_scaling") or {}
    flat["rope_theta"] = flat.get("rope_theta") or rope.get("rope_theta", 1e6)
    if "mrope_section" in rope:
        flat["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    return flat


def _model(flat: dict[str, Any]) -> Any:
    code = importlib.import_module(f"mlx_vlm.models.{flat['model_type']}")
    settings = code.ModelConfig.from_dict(dict(flat))
    settings.text_config = code.TextConfig.from_dict(flat)
    settings.vision_config = code.VisionConfig.from_dict(
        {**flat["vision_config"], "model_type": flat["model_type"]}
    )
    return code.Model(settings)


def _weights(folder: Path) -> dict[str, mx.array]:
    """All weights by mlx-vlm's names; the patch kernel has its colours last, as in mlx-vlm."""
    weights: dict[str, mx.array] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        loaded = cast("dict[str, mx.array]", mx.load(str(file)))
        weights |= {_renamed(name): weight for name, weight in loaded.items()}
    if not weights:
        raise ModelNotLoadable("The folder has no weights that MLX reads (model*.safetensors).")
    if _PATCHES not in weights:
        raise ModelNotLoadable("The folder has no weights that look at pictures (visual.*).")
    if weights[_PATCHES].shape[-1] != 3:
        weights[_PATCHES] = weights[_PATCHES].transpose(0, 2, 3, 4, 1)
    return weights


def _renamed(name: str) -> str:
    for pattern, new in _NAMES:
        if pattern.match(name):
            return pattern.sub(new, name)
    return name


def _quantise(model: Any, packing: dict[str, Any], weights: Mapping[str, mx.array]) -> None:
    """Quantise the layers of the model that are quantised in the files."""

    def packed(path: str, module: Any) -> bool | dict[str, Any]:
        if not hasattr(module, "to_quantized") or f"{path}.scales" not in weights:
            return False
        own = packing.get(path)
        return own if isinstance(own, dict) else True

    importlib.import_module("mlx.nn").quantize(
        model,
        group_size=packing.get("group_size", 64),
        bits=packing.get("bits", 4),
        mode=packing.get("mode", "affine"),
        class_predicate=packed,
    )
