"""Writes the headers of GGUF files byte by byte, also such as no tool writes."""

from __future__ import annotations

import struct
from pathlib import Path

Pair = tuple[bytes, int, bytes]
"""Key, type and encoded value."""

STRING, LIST = 8, 9
SAMPLES = {
    0: b"\x07",
    1: b"\xff",
    2: b"\x07\x00",
    3: b"\xff\xff",
    4: struct.pack("<I", 7),
    5: struct.pack("<i", -7),
    6: struct.pack("<f", float("nan")),
    7: b"\x01",
    10: struct.pack("<Q", 2**64 - 1),
    11: struct.pack("<q", -(2**63)),
    12: struct.pack("<d", float("inf")),
}
"""A value of every type of numbers."""


def text(content: bytes) -> bytes:
    """An encoded text."""
    return struct.pack("<Q", len(content)) + content


def listed(kind: int, values: list[bytes]) -> bytes:
    """An encoded list."""
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def pair(key: str, kind: int, value: bytes) -> Pair:
    return key.encode(), kind, value


def words(key: str, content: str) -> Pair:
    return pair(key, STRING, text(content.encode()))


TOKENIZER = [
    words("tokenizer.ggml.model", "gpt2"),
    pair("tokenizer.ggml.tokens", LIST, listed(STRING, [text(b"a"), text(b"b")])),
]
"""What the smallest vocabulary takes."""


def header(
    pairs: list[Pair], *, version: int = 3, order: str = "<", tensors: tuple[str, ...] = ("t",)
) -> bytes:
    """A whole file whose tensors are the same number."""
    content = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(pairs))
    encoded = (text(key) + struct.pack(order + "I", kind) + value for key, kind, value in pairs)
    names = (text(name.encode()) + struct.pack(order + "IQIQ", 1, 1, 0, 0) for name in tensors)
    content += b"".join(encoded) + b"".join(names)
    return content + bytes(-len(content) % 32 + 4)


def write(
    path: Path,
    pairs: list[Pair],
    *,
    version: int = 3,
    order: str = "<",
    tensors: tuple[str, ...] = ("t",),
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header(pairs, version=version, order=order, tensors=tensors))
    return path
