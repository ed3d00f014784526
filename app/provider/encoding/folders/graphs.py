"""Finds the ONNX graphs of an encoder, where Optimum and others put them.

They lie in ``onnx`` (sentence-transformers, transformers.js, Optimum) or beside config.json
(Optimum, fastembed), often in several variants: float32 first, then what is smaller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from app.provider.encoding.folders.settings import EncoderKind
from app.provider.headers.content import BEGINNING, identify
from app.provider.headers.files import open_regular, sizes

SUFFIX = ".onnx"
FOLDERS = ("onnx", "")

_VARIANTS = (
    *("", "_optimized", "_O1", "_O2", "_O3"),
    *("_fp16", "_O4", "_quantized", "_int8", "_qint8_avx2", "_quint8_avx2", "_uint8"),
    *("_qint8_avx512", "_qint8_avx512_vnni", "_qint8_arm64", "_bnb4", "_q4", "_q4f16"),
)
"""What follows the name of a graph, in the order of preference."""

GRAPH_NAME = re.compile(
    rf"(model|text_model|vision_model)({'|'.join(sorted(_VARIANTS, key=len, reverse=True))})"
)
"""What a graph computes, and its variant."""


@dataclass(frozen=True, slots=True)
class EncoderGraphs:
    """The files of a model's graphs, the preferred variant first, pointers of Git LFS last.

    ``whole`` is the graph of all that the model does; ``text`` and ``vision`` are its halves,
    which a model of images and texts has instead of it or beside it.
    """

    whole: tuple[Path, ...] = ()
    text: tuple[Path, ...] = ()
    vision: tuple[Path, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return bool(self.whole or self.text or self.vision)

    def chosen(self, kind: EncoderKind) -> tuple[Path, ...]:
        """The files to load for a model of that kind; none where one is missing."""
        if kind == "multimodal" and self.text and self.vision:
            return self.text[0], self.vision[0]
        if kind == "vision" and not self.whole:
            return self.vision[:1]
        return self.whole[:1]


def find_graphs(root: Path) -> EncoderGraphs:
    """The graphs of a folder. Raises nothing where there are none."""
    for name in FOLDERS:
        try:
            found = _listed(root / name)
        except OSError:
            continue
        if found:
            return EncoderGraphs(
                found.get("model", ()), found.get("text_model", ()), found.get("vision_model", ())
            )
    return EncoderGraphs()


def _listed(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The graphs of one folder by what they compute."""
    ranked: dict[str, list[tuple[bool, int, Path]]] = {}
    for name, size in sizes(folder).items():
        match = GRAPH_NAME.fullmatch(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None
        if match:
            rank = (_is_pointer(folder / name, size), _VARIANTS.index(match[2]), folder / name)
            ranked.setdefault(match[1], []).append(rank)
    return {part: tuple(path for _, _, path in sorted(found)) for part, found in ranked.items()}


def _is_pointer(path: Path, size: int) -> bool:
    """Whether a clone has not fetched the file: people fetch only the variant that they want."""
    if size > BEGINNING:
        return False
    with open_regular(path) as file:
        return bool(identify(file.read(BEGINNING), size))
