"""The starter with random weights: it writes every token as gladly as any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gguf
import numpy as np

from tests.provider.asking import STARTERS

SPREAD = 0.05


def write_gguf(path: Path) -> Path:
    """The starter as GGUF; its quantised blocks keep their scales, and get other numbers."""
    shutil.copy(STARTERS["gguf"], path)
    dice = np.random.default_rng(1)
    for tensor in gguf.GGUFReader(path, "r+").tensors:
        if tensor.data.dtype == np.uint8:
            _shuffle_blocks(tensor, dice)
        elif tensor.data.ndim > 1:
            tensor.data[:] = dice.normal(0, SPREAD, tensor.data.shape).astype(tensor.data.dtype)
    return path


def _shuffle_blocks(tensor: gguf.ReaderTensor, dice: np.random.Generator) -> None:
    """Give the blocks of a tensor an order of their own."""
    size = gguf.GGML_QUANT_SIZES[tensor.tensor_type][1]
    blocks = tensor.data.reshape(-1, size)
    blocks[:] = blocks[dice.permutation(len(blocks))]


def write_folder(folder: Path) -> Path:
    """The starter as Hugging Face files, for MLX and PyTorch."""
    shutil.copytree(STARTERS["pytorch"], folder)
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    dice = np.random.default_rng(1)
    for name, facts in json.loads(content[8:start]).items():
        if name != "__metadata__" and len(facts["shape"]) > 1:
            begin, end = (start + offset for offset in facts["data_offsets"])
            numbers = np.frombuffer(content, np.uint16, (end - begin) // 2, begin)
            numbers[:] = numbers[dice.permutation(len(numbers))]
    path.write_bytes(content)
    return folder
