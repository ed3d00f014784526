"""An MLX folder of Qwen2.5-0.5B's shape with random weights of 4 bits, or unquantised.

It needs the ``mlx`` extra: ``python -m bench.models.mlx FOLDER [BITS]``, 0 for bfloat16.
It uses the vocabulary of ``bench.models.qwen2``. Only that vocabulary's words have an embedding, so
an answer never ends by itself.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map_with_path

from bench.models import qwen2
from bench.models.hugging_face import CONFIG, write_tokenizer

BITS = 4


def ensure(folder: Path, bits: int = BITS) -> Path:
    """Write the model unless it is there already; a torn write leaves nothing behind."""
    if not folder.exists():
        draft = folder.with_suffix(".part")
        _write(draft, bits)
        draft.rename(folder)
    return folder


def _write(folder: Path, bits: int) -> None:
    mx.random.seed(0)
    utils = importlib.import_module("mlx_lm.utils")
    qwen2 = importlib.import_module("mlx_lm.models.qwen2")
    model = qwen2.Model(qwen2.ModelArgs.from_dict(CONFIG))
    model.update(tree_map_with_path(random_weights, model.parameters()))
    config = dict(CONFIG)
    if bits:
        model, config = utils.quantize_model(model, config, group_size=None, bits=bits)
    utils.save_model(folder, model, donate_model=True)
    utils.save_config(config, folder / "config.json")
    write_tokenizer(folder)


def random_weights(name: str, weights: Any) -> Any:
    """Random values of the usual size in place of a tensor of that name; ones for norms."""
    if "norm" in name:
        return mx.ones(weights.shape, mx.bfloat16)
    if "embed_tokens" in name:
        first, last = qwen2.FIRST_WORD, qwen2.FIRST_WORD + len(qwen2.WORDS)
        words = mx.random.normal((last - first, weights.shape[1])) * qwen2.WORD_STD
        rows = mx.zeros(weights.shape)
        rows[first:last] = words
        return rows.astype(mx.bfloat16)
    return (mx.random.normal(weights.shape) * qwen2.MATRIX_STD).astype(mx.bfloat16)


if __name__ == "__main__":
    ensure(Path(sys.argv[1]), *map(int, sys.argv[2:]))
