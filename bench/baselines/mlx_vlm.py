"""Baseline of image encoding: mlx-vlm's vision tower in a bare process.

Reads ``{"texts": [file, …], …}`` per line and answers ``{"tokens": n, "seconds": s}``: what the
pictures in the files became, and how long it took to encode them.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import mlx.core as mx
import numpy as np
from PIL import Image

from app.provider.architectures.qwen_vl import SETTINGS, Scaling
from app.provider.architectures.qwen_vl_pixels import patches
from bench.baselines.driver import serve


class ImageEncoder:
    """The vision tower of a folder; it computes in the type of its weights."""

    def __init__(self, folder: Path) -> None:
        self._model = importlib.import_module("mlx_vlm.utils").load_model(folder)
        self._scaling = Scaling.of(json.loads((folder / SETTINGS).read_text()))

    def run(self, files: list[str], _max_tokens: int, _lanes: int) -> int:
        """Encode the pictures, one after the other; the tokens that they became."""
        return sum(self._encode(file) for file in files)

    def _encode(self, file: str) -> int:
        with Image.open(file) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        height, width, _ = pixels.shape
        grid = mx.array([[1, height // self._scaling.patch, width // self._scaling.patch]])
        tower = self._model.vision_tower
        kind = tower.patch_embed.proj.weight.dtype
        features = tower(mx.array(patches(pixels, self._scaling)).astype(kind), grid)
        mx.eval(features)
        return int(features.shape[0])


def main() -> None:
    """Serve measurements over standard input and output until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, help="ignored: on CPUs MLX computes with one")
    serve(ImageEncoder(parser.parse_args().model).run)


if __name__ == "__main__":
    main()
