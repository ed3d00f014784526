"""Reads single tensors out of safetensors files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.provider.headers.files import open_regular
from app.provider.headers.safetensors import IncompleteFileError, read_header

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

Tensor = tuple[tuple[int, ...], NDArray[np.float32]]


def read_tensor(path: Path, name: str, most: int) -> Tensor | None:
    """The shape and numbers of a tensor; None where there is none of at most ``most`` numbers.

    Raises OSError, and IncompleteFileError for a file that is cut off.
    """
    header, start = read_header(path)
    entry = header.get(name)
    if not isinstance(entry, dict):
        return None
    shape, kind = entry.get("shape"), _TYPES.get(str(entry.get("dtype")))
    if kind is None or not isinstance(shape, list) or not all(type(n) is int for n in shape):
        return None
    begin, end = entry["data_offsets"]
    numbers = math.prod(shape)
    if numbers > most or end - begin != numbers * np.dtype(kind).itemsize or begin < 0:
        return None
    with open_regular(path) as file:
        file.seek(start + begin)
        content = file.read(end - begin)
    if len(content) != end - begin:
        raise IncompleteFileError(f"{path.name} is cut off")
    return tuple(shape), _floats(np.frombuffer(content, kind))


def _floats(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """The numbers as float32; those of bfloat16 are its upper half."""
    if values.dtype == np.dtype("<u2"):
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.float32)
