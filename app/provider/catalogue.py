"""What lies in the models folder. Recognised by content, never by what a request says."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from app.provider.gguf.header import Header, read_header

Format = Literal["gguf", "onnx", "mlx", "hf", "echo"]

_SMALLEST = 64
"""Bytes; anything smaller is no model."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model on disk. ``problem`` says why it cannot be loaded; None when it can."""

    id: str
    format: Format
    path: Path
    size_bytes: int
    context_length: int
    tasks: tuple[str, ...] = ("chat",)
    name: str = ""
    architecture: str = ""
    quantization: str = ""
    licence: str = ""
    problem: str | None = None


ECHO = ModelCard("echo", "echo", Path(), size_bytes=0, context_length=4096, name="Echo")


def scan(
    models_dir: Path, extra: Sequence[Path] = (), untouched: Collection[Path] = ()
) -> list[ModelCard]:
    """Every model under ``models_dir`` and every file of ``extra``, by id; ids may repeat.

    Files ``untouched`` are not opened.
    """
    paths = {path.resolve(): path for path in (*extra, *_files(models_dir))}
    cards = filter(None, (_card(path) for real, path in paths.items() if real not in untouched))
    return sorted(cards, key=lambda card: (card.id, str(card.path)))


def _files(folder: Path) -> Iterator[Path]:
    """All files at any depth; hidden folders hold downloads in progress."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _card(path: Path) -> ModelCard | None:
    try:
        status = path.stat()
        if status.st_size < _SMALLEST:
            return None
        return _read(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return None  # gone since the walk, or not ours to read


@lru_cache(maxsize=1024)
def _read(path: Path, size: int, _mtime: int) -> ModelCard | None:
    header = read_header(path)
    if header is None or header.metadata.get("general.architecture") == "clip":
        return None  # a "clip" file is the eye of the model beside it
    return _gguf_card(path, size, header)


def _gguf_card(path: Path, size: int, header: Header) -> ModelCard:
    facts = header.metadata
    architecture = str(facts.get("general.architecture", ""))
    return ModelCard(
        id=path.name.removesuffix(".gguf"),
        format="gguf",
        path=path,
        size_bytes=size,
        tasks=("embedding",) if f"{architecture}.pooling_type" in facts else ("chat",),
        context_length=int(facts.get(f"{architecture}.context_length", 0)),
        name=str(facts.get("general.name", "")),
        architecture=architecture,
        quantization=_FILE_TYPES.get(facts.get("general.file_type", -1), ""),
        licence=str(facts.get("general.license", "")),
        problem=None if header.whole else "The file is incomplete.",
    )


_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
}
"""``general.file_type`` → the usual name (llama.cpp's enum llama_ftype)."""
