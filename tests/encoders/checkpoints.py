"""Writes the folder of a family, with weights large enough for every one to matter."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.encoders.family import Family
from tests.encoders.image_families import MULTIMODAL, VISION
from tests.encoders.text_families import EMBEDDERS, RERANKERS

HERE = Path(__file__).parent
FAMILIES: dict[str, Family] = {**EMBEDDERS, **RERANKERS, **VISION, **MULTIMODAL}
SHAPES = HERE / "tensors.json"
"""Name and shape of each tensor of each family, as transformers saves them for the Hub."""

_SCALARS = {"logit_scale": 2.3, "logit_bias": -1.5}
_TYPES = {"float32": "F32", "float16": "F16", "int64": "I64"}


def write_checkpoint(name: str, folder: Path, **config: Any) -> Path:
    """Write the family's files into ``folder``; ``config`` changes its config.json."""
    family = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", {**family.config, **config})
    for path, content in family.files.items():
        _write_json(folder / path, content)
    if family.tokenizer:
        shutil.copy(HERE / "tokenizers" / f"{family.tokenizer}.json", folder / "tokenizer.json")
    write_weights(folder / "model.safetensors", weights(name))
    for dense, shape in family.dense.items():
        write_weights(folder / dense / "model.safetensors", {"linear.weight": drawn(dense, shape)})
    return folder


def weights(name: str) -> dict[str, NDArray[Any]]:
    """All tensors of a family, the same on every machine."""
    shapes: dict[str, list[int]] = json.loads(SHAPES.read_text())[name]
    found = {tensor: drawn(tensor, tuple(shape)) for tensor, shape in shapes.items()}
    return found | {tensor: _counted(shape) for tensor, shape in FAMILIES[name].extra.items()}


def drawn(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights with a standard deviation of 0.2, around 1 where they scale."""
    if name in _SCALARS:
        return np.full(shape, _SCALARS[name], np.float32)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    values = 0.2 * np.random.RandomState(seed).standard_normal(shape)
    scales = len(shape) == 1 and not name.endswith("bias")
    return (values + (1 if scales else 0)).astype(np.float32)


def _counted(shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.arange(shape[-1], dtype=np.int64).reshape(shape)


def write_weights(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _TYPES[str(tensor.dtype)],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    encoded = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        file.writelines(tensor.tobytes() for tensor in tensors.values())


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def reference(name: str) -> dict[str, NDArray[Any]]:
    """What transformers and sentence-transformers make of the inputs (``tests.encoders.make``)."""
    with np.load(HERE / "references" / f"{name}.npz") as file:
        return dict(file)
