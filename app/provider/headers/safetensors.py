"""Reads the headers of safetensors files.

Format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.provider.headers import budget
from app.provider.headers.content import BEGINNING, identify
from app.provider.headers.fields import number, section, sensible, text
from app.provider.headers.files import open_regular
from app.provider.headers.json_reader import LONGEST, read_object

_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = LONGEST
_MOST_DIMENSIONS = 8
_LARGEST = 2**48
_BFLOAT16 = struct.Struct("<H")
_NUMBERS = {
    "F64": struct.Struct("<d"),
    "F32": struct.Struct("<f"),
    "F16": struct.Struct("<e"),
    "BF16": _BFLOAT16,
}
_PACKED_BITS = 32
"""GPTQ and AWQ pack weights into integers of that size."""


class IncompleteFileError(ValueError):
    """A file that is incomplete; ``str()`` is part of a sentence that says so."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's type, as safetensors calls it, and its shape."""

    kind: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """Count of numbers in the tensor."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors of a model's files by name, and whether MLX wrote the files."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    by_mlx: bool = False


def read_weights(files: Iterable[Path]) -> Weights:
    """Read the headers; raises OSError, and IncompleteFileError for a file that is cut off."""
    tensors: dict[str, Tensor] = {}
    by_mlx = False
    for path in files:
        header, _ = read_header(path)
        by_mlx |= section(header, "__metadata__").get("format") == "mlx"
        tensors |= {name: tensor for name, entry in header.items() if (tensor := _tensor(entry))}
        budget.check()
    return Weights(tensors, by_mlx)


def read_number(path: Path, name: str) -> float | None:
    """A tensor of a single number; None where there is none. Raises as ``read_weights`` does."""
    header, start = read_header(path)
    entry = header.get(name)
    tensor = _tensor(entry)
    kind = _NUMBERS.get(tensor.kind) if tensor and tensor.numbers == 1 else None
    if kind is None or not isinstance(entry, dict):
        return None
    with open_regular(path) as file:
        file.seek(max(0, start + _end(entry) - kind.size))
        content = file.read(kind.size)
    if len(content) < kind.size:
        return None
    # The bytes of a bfloat16 are the upper half of a float32.
    whole = bytes(2) + content if kind is _BFLOAT16 else content
    return float((_NUMBERS["F32"] if kind is _BFLOAT16 else kind).unpack(whole)[0])


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a file, whose length is checked, and where the bytes of its tensors begin."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(BEGINNING)
        if other := identify(start, size):
            raise IncompleteFileError(f"{path.name} {other}")
        length = _LENGTH.unpack_from(start)[0] if size >= _LENGTH.size else _LONGEST_HEADER + 1
        file.seek(_LENGTH.size)
        content = file.read(min(length, _LONGEST_HEADER))
    if _LENGTH.size + length > size:
        raise IncompleteFileError(f"{path.name} is cut off")
    if length > _LONGEST_HEADER:
        raise IncompleteFileError(f"{path.name} is damaged: no header is that long")
    start_of_data = _LENGTH.size + length
    return _checked(path.name, content, size - start_of_data), start_of_data


def _checked(name: str, content: bytes, room: int) -> dict[str, Any]:
    """Decode a header; raises IncompleteFileError unless its tensors end within ``room`` bytes."""
    try:
        header = read_object(content)
        ends = [_end(entry) for key, entry in header.items() if key != "__metadata__"]
    except ValueError as error:
        raise IncompleteFileError(f"{name} is damaged") from error
    if max(ends, default=0) > room:
        raise IncompleteFileError(f"{name} is cut off")
    return header


def _end(entry: object) -> int:
    """Where a tensor's bytes end, counted from the end of the header."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or type(offsets[1]) is not int:
        raise ValueError("no tensor")
    return offsets[1]


def _tensor(entry: object) -> Tensor | None:
    if not isinstance(entry, dict):
        return None
    shape = entry.get("shape")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        return None
    if not all(type(size) is int and 0 <= size < _LARGEST for size in shape):
        return None
    return Tensor(text(entry, "dtype"), tuple(shape))


def parameters(tensors: Mapping[str, Tensor], quantization: Mapping[str, Any]) -> int:
    """Count the weights before packing.

    ``quantization`` is that of config.json: MLX's gives ``group_size`` for all layers and for
    some by name; GPTQ's and AWQ's give ``bits``.
    """
    return sensible(sum(_unpacked(name, tensors, quantization) for name in tensors))


def _unpacked(name: str, tensors: Mapping[str, Tensor], quantization: Mapping[str, Any]) -> int:
    """Weights that a tensor holds; 0 when it is only needed to unpack another."""
    stem, _, leaf = name.rpartition(".")
    scales = tensors.get(f"{stem}.scales")
    if leaf == "qweight":
        return tensors[name].numbers * _PACKED_BITS // (number(quantization, "bits") or 4)
    if scales and f"{stem}.qweight" in tensors:
        return tensors[name].numbers if leaf == "bias" else 0
    if scales and f"{stem}.weight" in tensors:
        group = number(section(quantization, stem), "group_size")
        group = group or number(quantization, "group_size") or 64
        return {"weight": scales.numbers * group, "bias": tensors[name].numbers}.get(leaf, 0)
    return 0 if leaf.startswith("weight_scale") else tensors[name].numbers


def main_type(tensors: Iterable[Tensor]) -> str:
    """The type of most numbers, as safetensors calls it; empty if there are none."""
    numbers: Counter[str] = Counter()
    for tensor in tensors:
        numbers[tensor.kind] += tensor.numbers
    return max(numbers, key=lambda kind: numbers[kind], default="")
