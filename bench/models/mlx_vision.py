"""An MLX folder of ``bench.models.qwen2_vl``: the same shape, random weights in bfloat16.

It needs mlx-vlm: ``python -m bench.models.mlx_vision FOLDER``.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map_with_path

from bench.models import qwen2, qwen2_vl
from bench.models.hugging_face import CONFIG, write_tokenizer
from bench.models.mlx import random_weights

IDS = {
    "vision_start_token_id": qwen2_vl.START,
    "vision_end_token_id": qwen2_vl.END,
    "image_token_id": qwen2_vl.PAD,
    "video_token_id": qwen2_vl.VIDEO,
}
VISION_CONFIG: dict[str, Any] = {
    "model_type": "qwen2_5_vl",
    "depth": qwen2_vl.DEPTH,
    "hidden_size": qwen2_vl.HIDDEN,
    "hidden_act": "silu",
    "intermediate_size": qwen2_vl.FFN,
    "num_heads": qwen2_vl.HEADS,
    "out_hidden_size": qwen2.HIDDEN,
    "patch_size": qwen2_vl.PATCH,
    "spatial_patch_size": qwen2_vl.PATCH,
    "spatial_merge_size": qwen2_vl.MERGE,
    "temporal_patch_size": qwen2_vl.FRAMES,
    "window_size": qwen2_vl.WINDOW,
    "in_chans": 3,
    "fullatt_block_indexes": [*range(qwen2_vl.WHOLE - 1, qwen2_vl.DEPTH, qwen2_vl.WHOLE)],
}


def config() -> dict[str, Any]:
    """What config.json says, in the layout of the Hub: the text's settings at the top."""
    ids = {key: qwen2.FIRST_SPECIAL + qwen2_vl.SPECIALS.index(IDS[key]) for key in IDS}
    rope = {"type": "mrope", "mrope_section": list(qwen2_vl.SECTIONS)}
    kind = {"model_type": "qwen2_5_vl", "rope_scaling": rope}
    return CONFIG | ids | kind | {"vision_config": dict(VISION_CONFIG)}


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
    made.vision_config = library.VisionConfig.from_dict(VISION_CONFIG)
    model = library.Model(made)
    model.update(tree_map_with_path(random_weights, model.parameters()))
    importlib.import_module("mlx_lm.utils").save_model(folder, model, donate_model=True)
    (folder / "config.json").write_text(json.dumps(config()))
    (folder / "preprocessor_config.json").write_text(json.dumps(_processor()))
    write_tokenizer(folder, qwen2_vl.SPECIALS, qwen2_vl.TEMPLATE)


def _processor() -> dict[str, Any]:
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
        "min_pixels": qwen2_vl.MIN_PIXELS,
        "max_pixels": qwen2_vl.MAX_PIXELS,
        "patch_size": qwen2_vl.PATCH,
        "merge_size": qwen2_vl.MERGE,
        "temporal_patch_size": qwen2_vl.FRAMES,
        "image_mean": qwen2_vl.MEAN,
        "image_std": qwen2_vl.DEVIATION,
    }


if __name__ == "__main__":
    ensure(Path(sys.argv[1]))
