"""Reads the header of a GGUF file: its metadata, and whether the file is complete.

Plain Python, for the API process, which must not load llama.cpp. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.provider.headers import budget
from app.provider.headers.files import open_regular
from app.provider.headers.gguf_cursor import U64, Cursor, CutOffError, DamagedError

MAGIC = b"GGUF"

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: U64,
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32 = _SCALARS[4]
_VERSIONS = (2, 3)
_LONGEST_KEY = _LONGEST_KEPT = 256
"""Bytes of keys and of all texts but the template that are kept."""
TEMPLATE = "tokenizer.chat_template"
_LONGEST_TEMPLATE = 2**20
_LISTS = ("attention.head_count", "attention.head_count_kv")
"""Ends of the keys whose lists are kept, which have a number for each layer."""
_LONGEST_LIST = 1024
_HEADS = ("cls.", "dense_")
"""Beginnings of the names of tensors that make a vector or score of what the layers compute."""
_MOST_PAIRS = 2**16
_MOST_TENSORS = 2**16
_MOST_DIMENSIONS = 4

TENSOR_TYPES = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
    40: (64, 36),
    41: (128, 18),
}
"""ggml tensor type → weights in a block and bytes of a block (ggml's type traits)."""


@dataclass(slots=True)
class Header:
    """The header before the weights.

    ``metadata`` holds numbers, short texts, the template and numbers for each layer, by key.
    ``lengths`` has the length of each list. Keys ``passed_over`` have texts too long to keep.
    ``tensors`` and ``parameters`` are counts. ``heads`` are the names of tensors that come after
    the layers of an encoder. ``fault`` is a sentence that says why the file cannot be read, empty
    for a complete file.
    """

    metadata: dict[str, Any] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    passed_over: set[str] = field(default_factory=set)
    tensors: int = 0
    parameters: int = 0
    heads: set[str] = field(default_factory=set)
    fault: str = ""

    @property
    def whole(self) -> bool:
        """Whether header and tensors are complete."""
        return not self.fault


CUT_OFF = "The file is incomplete: its end is missing. Download or copy it again."


def read_header(path: Path) -> Header | None:
    """Read ``path``; None when it is no GGUF file. Raises OSError and TooExpensive."""
    with open_regular(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        return _read(Cursor(file, os.fstat(file.fileno()).st_size))


def _read(cursor: Cursor) -> Header:
    header = Header()
    try:
        header.fault = _version_fault(*cursor.raw(4))
        if not header.fault:
            _read_metadata(cursor, header)
            _read_tensors(cursor, header)
    except CutOffError:
        header.fault = CUT_OFF
    except DamagedError as error:
        header.fault = f"The file is damaged: {error}. Download or copy it again."
    return header


def _version_fault(*raw: int) -> str:
    """Why a file of this version cannot be read; empty where it can."""
    version = int.from_bytes(raw, "little")
    if version in _VERSIONS:
        return ""
    if version == 1:
        return (
            "It is written in GGUF version 1, which llama.cpp does not read any more: "
            "download a newer file of the model."
        )
    if 0 < int.from_bytes(raw, "big") <= max(_VERSIONS):
        return (
            "It is a big-endian GGUF file, for other computers than this one: "
            "download the little-endian file of the model."
        )
    return (
        f"It is written in GGUF version {version}, which is not known here: "
        "update the server, or download the file again in case it is damaged."
    )


def _read_metadata(cursor: Cursor, header: Header) -> None:
    header.tensors, pairs = cursor.scalar(U64), cursor.scalar(U64)
    if header.tensors > _MOST_TENSORS or pairs > _MOST_PAIRS:
        raise DamagedError("its header counts more tensors or keys than any model has")
    for _ in range(pairs):
        budget.check()
        key, kind = cursor.string(_LONGEST_KEY), cursor.scalar(_U32)
        budget.take(200)
        if kind == _ARRAY:
            _read_list(cursor, header, key)
            continue
        value = cursor.string(_kept(key)) if kind == _STRING else cursor.scalar(_scalar(kind))
        if key in header.metadata or key in header.lengths or key in header.passed_over:
            raise DamagedError("a key stands twice in its header")
        if key is not None and value is None:
            header.passed_over.add(key)
        elif key is not None:
            header.metadata[key] = value


def _kept(key: str | None) -> int:
    """Longest text of a key that is kept, in bytes."""
    return _LONGEST_TEMPLATE if key == TEMPLATE else _LONGEST_KEPT


def _scalar(kind: int) -> struct.Struct:
    if kind not in _SCALARS:
        raise DamagedError("its header has a value of an unknown type")
    return _SCALARS[kind]


def _read_list(cursor: Cursor, header: Header, key: str | None) -> None:
    kind, count = cursor.scalar(_U32), cursor.scalar(U64)
    if key is not None:
        header.lengths[key] = count
    if kind == _STRING:
        cursor.skip_strings(count)
    elif count <= _LONGEST_LIST and key is not None and key.endswith(_LISTS):
        header.metadata[key] = [cursor.scalar(_scalar(kind)) for _ in range(count)]
    else:
        cursor.skip(_scalar(kind).size * count)


def _read_tensors(cursor: Cursor, header: Header) -> None:
    """Count the weights; raises CutOffError when the file is too short for them."""
    furthest = 0
    for index in range(header.tensors):
        if index % 256 == 0:
            budget.check()
        name = cursor.string(_LONGEST_KEY) or ""
        weights, size, offset = _tensor(cursor)
        furthest = max(furthest, offset + size)
        header.parameters += weights
        if name.startswith(_HEADS):
            header.heads.add(name)
    if header.tensors and cursor.aligned(_alignment(header)) + furthest > cursor.size:
        raise CutOffError


def _tensor(cursor: Cursor) -> tuple[int, int, int]:
    """Weights, bytes and offset of a tensor, after its name."""
    dimensions = cursor.scalar(_U32)
    if dimensions > _MOST_DIMENSIONS:
        raise DamagedError("one of its tensors has more than four dimensions")
    weights = math.prod(cursor.scalar(U64) for _ in range(dimensions))
    block, block_bytes = TENSOR_TYPES.get(cursor.scalar(_U32), (256, 1))
    return weights, weights // block * block_bytes, cursor.scalar(U64)


def _alignment(header: Header) -> int:
    """Bytes; each tensor begins at a multiple of them."""
    alignment = header.metadata.get("general.alignment", 32)
    if type(alignment) is not int or alignment <= 0 or alignment & (alignment - 1):
        raise DamagedError("its alignment is no power of two")
    return alignment
