"""``python -m app.provider.engines.mlx.convert SOURCE TARGET BITS DTYPE``: Hugging Face to MLX.

It runs in a process of its own, because the weights of a model stay in memory until that ends.
``BITS`` 0 leaves the weights unquantised; ``DTYPE`` ``-`` leaves their type. When the model cannot
be converted, it prints one sentence to the standard error and exits with status 1.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map

from app.provider.engines.mlx import UNWANTED_LIBRARIES, vlm
from app.provider.engines.mlx.model import load, settings
from app.provider.errors import ModelNotLoadable

KEPT = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "preprocessor_config.json",
)
"""Files that are the same in both formats."""


def convert(source: Path, target: Path, bits: int = 0, dtype: str = "") -> None:
    """Write ``target``, a new folder; raises ModelNotLoadable."""
    utils = importlib.import_module("mlx_lm.utils")
    config = settings(source)
    model, config = (vlm.load if vlm.takes_images(config) else load)(source, config)
    if "quantization" in config or "quantization_config" in config:
        raise ModelNotLoadable("The model is quantised already: convert the original.")
    if dtype:
        model.update(tree_map(lambda weight: _cast(weight, dtype), model.parameters()))
        config["dtype"] = dtype
        config.pop("torch_dtype", None)
    if bits:
        model, config = utils.quantize_model(
            model, config, group_size=None, bits=bits, quant_predicate=_quantised(model)
        )
    utils.save_model(target, model, donate_model=True)
    if (target / "model.safetensors").exists():
        (target / "model.safetensors.index.json").unlink()  # one file needs no index
    _save(config, target / "config.json")
    for name in KEPT:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _save(config: dict[str, Any], path: Path) -> None:
    """Write the configuration, without ``vision_config`` where the model takes no images here."""
    gone = {"_name_or_path"} | (set() if vlm.takes_images(config) else {"vision_config"})
    kept = {key: value for key, value in sorted(config.items()) if key not in gone}
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _quantised(model: Any) -> Callable[[str, Any], bool | dict[str, Any]]:
    """Choose the layers to pack: those that the architecture names, none of the vision tower."""
    named = getattr(model, "quant_predicate", None)

    def packed(path: str, layer: Any) -> bool | dict[str, Any]:
        if path.startswith("vision_tower."):
            return False
        chosen: bool | dict[str, Any] = named(path, layer) if named else True
        return chosen

    return packed


def _cast(weight: Any, dtype: str) -> Any:
    floating = isinstance(weight, mx.array) and mx.issubdtype(weight.dtype, mx.floating)
    return weight.astype(getattr(mx, dtype)) if floating else weight


def main() -> None:
    """Convert what the arguments name."""
    source, target, bits, dtype = sys.argv[1:]
    for library in UNWANTED_LIBRARIES:
        sys.modules[library] = None  # type: ignore[assignment]
    try:
        convert(Path(source), Path(target), int(bits), dtype.strip("-"))
    except ModelNotLoadable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
