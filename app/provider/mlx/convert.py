"""``python -m app.provider.mlx.convert SOURCE TARGET BITS DTYPE``: Hugging Face → MLX folder.

A process of its own, because the weights of a model stay in memory until it ends. ``BITS`` 0
leaves the weights unquantised; ``DTYPE`` ``-`` leaves their type. Ends with one sentence on the
standard error and status 1 when it cannot be done.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map

from app.provider.errors import ModelNotLoadable
from app.provider.mlx.model import load

KEPT = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)
"""Files that are the same in both formats."""


def convert(source: Path, target: Path, bits: int = 0, dtype: str = "") -> None:
    """Write ``target``, a new folder; raises ModelNotLoadable."""
    utils = importlib.import_module("mlx_lm.utils")
    model, config = load(source, lazy=True)
    if "quantization" in config or "quantization_config" in config:
        raise ModelNotLoadable("The model is quantised already: convert the original.")
    if dtype:
        model.update(tree_map(lambda weight: _cast(weight, dtype), model.parameters()))
        config["dtype"] = dtype
        config.pop("torch_dtype", None)
    if bits:
        model, config = utils.quantize_model(model, config, group_size=None, bits=bits)
    utils.save_model(target, model, donate_model=True)
    if (target / "model.safetensors").exists():
        (target / "model.safetensors.index.json").unlink()  # one file needs no index
    utils.save_config(config, target / "config.json")
    for name in KEPT:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _cast(weight: Any, dtype: str) -> Any:
    floating = isinstance(weight, mx.array) and mx.issubdtype(weight.dtype, mx.floating)
    return weight.astype(getattr(mx, dtype)) if floating else weight


def main() -> None:
    """Convert what the arguments name."""
    source, target, bits, dtype = sys.argv[1:]
    try:
        convert(Path(source), Path(target), int(bits), dtype.strip("-"))
    except ModelNotLoadable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
