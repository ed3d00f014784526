"""Finds the mmproj file of a vision model, and tells what images it takes.

An mmproj ("multimodal projector") file holds the weights that turn an image into vectors of the
model's width. It lies in the model's folder under any name with ``mmproj`` in it:
``mmproj-F16.gguf``, ``mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf``, ``SmolVLM.mmproj-Q8_0.gguf``. If
several fit, the one whose name shares most with the model's is taken; after that float16,
bfloat16, eight bits, float32. One file serves all quantisations of its model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.provider.architectures.qwen_vl import Scaling
from app.provider.card import Vision
from app.provider.headers.budget import TooExpensive
from app.provider.headers.fields import number, text
from app.provider.headers.gguf import read_header

MARK = "mmproj"
"""Part of the name of every mmproj file."""

_SCALED = {"qwen2vl_merger", "qwen2.5vl_merger", "qwen2.5o", "qwen3vl_merger"}
"""Projectors that take images in whole tiles: these are scaled here, as the model was trained."""

_ONLY_WITH = {"qwen2vl_merger": "qwen2vl", "qwen2.5vl_merger": "qwen2vl", "qwen2.5o": "qwen2vl"}
"""Projectors that fit one architecture only, and not plain Qwen2 models of the same width."""

_UNEVEN = {"deepseek4v", "hunyuanvl"}
"""Projectors whose tokens of an image depend on where it stands in the prompt."""

_FEWEST, _MOST = 8, 4096
"""Bounds of an image's tokens where the file does not state them (libmtmd's own)."""

_BEST_FIRST = ("f16", "bf16", "q8_0", "f32")
_TYPE = re.compile(r"(?i)^(?:b?f(?:16|32)|i?q\d\w*|model|mmproj)$")


@dataclass(frozen=True, slots=True)
class Mmproj:
    """An mmproj file. ``scaling`` is set where images are scaled here and not by libmtmd."""

    path: Path
    size_bytes: int
    scaling: Scaling | None = None

    @property
    def vision(self) -> Vision:
        """What images a model with this mmproj file takes."""
        if self.scaling is None:
            return Vision(size_bytes=self.size_bytes)
        return Vision(
            min_tokens=self.scaling.min_tokens,
            max_tokens=self.scaling.max_tokens,
            max_pixels=self.scaling.max_pixels,
            size_bytes=self.size_bytes,
        )


def find_mmproj(model: Path, architecture: str, width: int) -> Mmproj | None:
    """Find the mmproj file of a model whose embeddings are ``width`` wide; None without one."""
    found = (_read(path, architecture, width) for path in model.parent.glob(f"*{MARK}*"))
    return min(
        filter(None, found), key=lambda mmproj: rank(mmproj.path.name, model.name), default=None
    )


def find_mmproj_of(model: Path) -> Mmproj | None:
    """Find the mmproj file of a model by the model's own header."""
    header = read_header(model)
    metadata = header.metadata if header else {}
    architecture = text(metadata, "general.architecture")
    return find_mmproj(model, architecture, number(metadata, f"{architecture}.embedding_length"))


def _read(path: Path, architecture: str, width: int) -> Mmproj | None:
    """Read an mmproj file; None if it is none, incomplete, or of another model."""
    try:
        state = path.stat()
        metadata = _metadata(path, state.st_mtime_ns, state.st_size)
    except OSError:
        return None
    if metadata is None or not _fits(metadata, architecture, width):
        return None
    return Mmproj(path, state.st_size, _scaling(metadata))


@lru_cache(maxsize=64)
def _metadata(path: Path, _changed: int, _size: int) -> dict[str, Any] | None:
    """The metadata of a complete file; None where reading it would take too long."""
    try:
        header = read_header(path)
    except TooExpensive as error:
        if error.final:
            return None
        raise
    return header.metadata if header and header.whole else None


def _fits(metadata: dict[str, Any], architecture: str, width: int) -> bool:
    if metadata.get("general.architecture") != "clip" or not _has_vision_encoder(metadata):
        return False
    kind = _kind(metadata)
    projected = number(metadata, "clip.vision.projection_dim", "clip.projection_dim")
    fits = kind not in _UNEVEN and _ONLY_WITH.get(kind, architecture) == architecture
    return fits and projected == width > 0


def _has_vision_encoder(metadata: dict[str, Any]) -> bool:
    """Whether it is for images: files for sound only are not, and old files state neither."""
    return bool(metadata.get("clip.has_vision_encoder", not metadata.get("clip.has_audio_encoder")))


def _kind(metadata: dict[str, Any]) -> str:
    return text(metadata, "clip.projector_type") or text(metadata, "clip.vision.projector_type")


def _scaling(metadata: dict[str, Any]) -> Scaling | None:
    patch = number(metadata, "clip.vision.patch_size")
    if _kind(metadata) not in _SCALED or not patch:
        return None
    merge = number(metadata, "clip.vision.spatial_merge_size") or 2
    tile = (patch * merge) ** 2
    least = number(metadata, "clip.vision.image_min_pixels") or _FEWEST * tile
    most = number(metadata, "clip.vision.image_max_pixels") or _MOST * tile
    return Scaling.of(
        {"patch_size": patch, "merge_size": merge, "min_pixels": least, "max_pixels": most}
    )


def rank(mmproj: str, model: str) -> tuple[int, int, str]:
    """The sort key of an mmproj file by its name; the best has the lowest.

    The best shares most with the model's name, then has the best number type.
    """
    words = re.split(r"[-. ]+", mmproj.removesuffix(".gguf").lower())
    types = [_BEST_FIRST.index(word) for word in words if word in _BEST_FIRST]
    own = "-".join(word for word in words if not _TYPE.match(word))
    known = "-".join(re.split(r"[-. ]+", model.lower()))
    shared = len(own) if own in known else 0
    return -shared, min(types, default=len(_BEST_FIRST)), mmproj
