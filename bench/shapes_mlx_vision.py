"""An MLX folder of ``bench.shapes_vision``: the same shape, random weights in bfloat16.

It needs mlx-vlm: ``python -m bench.shapes_mlx_vision FOLDER``.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map_with_path

from bench import shapes, shapes_vision
from bench.shapes_hub import CONFIG, write_tokenizer
from bench.shapes_mlx import random_weights

IDS = {
    "vision_start_token_id": shapes_vision.START,
    "vision_end_token_id": shapes_vision.END,
    "image_token_id": shapes_vision.PAD,
    "video_token_id": shapes_vision.VIDEO,
}
EYES: dict[str, Any] = {
    "model_type": "qwen2_5_vl",
    "depth": shapes_vision.DEPTH,
    "hidden_size": shapes_vision.HIDDEN,
    "hidden_act": "silu",
    "intermediate_size": shapes_vision.FFN,
    "num_heads": shapes_vision.HEADS,
    "out_hidden_size": shapes.HIDDEN,
    "patch_size": shapes_vision.PATCH,
    "spatial_patch_size": shapes_vision.PATCH,
    "spatial_merge_size": shapes_vision.MERGE,
    "temporal_patch_size": shapes_vision.FRAMES,
    "window_size": shapes_vision.WINDOW,
    "in_chans": 3,
    "fullatt_block_indexes": [
        *range(shapes_vision.WHOLE - 1, shapes_vision.DEPTH, shapes_vision.WHOLE)
    ],
}


def config() -> dict[str, Any]:
    """What config.json says, in the layout of the Hub: the text's settings at the top."""
    ids = {key: shapes.FIRST_SPECIAL + shapes_vision.SPECIALS.index(IDS[key]) for key in IDS}
    rope = {"type": "mrope", "mrope_section": list(shapes_vision.SECTIONS)}
    kind = {"model_type": "qwen2_5_vl", "rope_scaling": rope}
    return CONFIG | ids | kind | {"vision_config": dict(EYES)}


def ensure(folder: Path) -> Path:
    """Write the model unless it is there already; a torn write leaves nothing behind."""
    if not folder.exists():
        draft = folder.with_suffix(".part")
        draft.mkdir(parents=True, exist_ok=True)
        _write(draft)
        draft.rename(folder)
    return folder


def _write(folder: Path) -> None:
    mx.random.seed(1)
    library = importlib.import_module("mlx_vlm.models.qwen2_5_vl")
    made = library.ModelConfig.from_dict(config())
    made.text_config = library.TextConfig.from_dict(config())
    made.vision_config = library.VisionConfig.from_dict(EYES)
    model = library.Model(made)
    model.update(tree_map_with_path(random_weights, model.parameters()))
    importlib.import_module("mlx_lm.utils").save_model(folder, model, donate_model=True)
    (folder / "config.json").write_text(json.dumps(config()))
    (folder / "preprocessor_config.json").write_text(json.dumps(_processor()))
    write_tokenizer(folder, shapes_vision.SPECIALS, shapes_vision.TEMPLATE)


def _processor() -> dict[str, Any]:
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
        "min_pixels": shapes_vision.MIN_PIXELS,
        "max_pixels": shapes_vision.MAX_PIXELS,
        "patch_size": shapes_vision.PATCH,
        "merge_size": shapes_vision.MERGE,
        "temporal_patch_size": shapes_vision.FRAMES,
        "image_mean": shapes_vision.MEAN,
        "image_std": shapes_vision.DEVIATION,
    }


if __name__ == "__main__":
    ensure(Path(sys.argv[1]))
