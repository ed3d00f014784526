"""Which file lets a model see: the "mmproj" file beside it, and what pictures it takes.

An mmproj ("multimodal projector") file holds the weights that turn a picture into vectors of the
width that the model reads. It lies in the model's folder under any name with ``mmproj`` in it:
``mmproj-F16.gguf``, ``mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf``, ``SmolVLM.mmproj-Q8_0.gguf``. Of
several that fit, the one whose name says most of the model's is taken, then float16, bfloat16,
eight bits, float32. One serves all quantisations of its model.
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
"""In the name of every such file."""

_SCALED = {"qwen2vl_merger", "qwen2.5vl_merger", "qwen2.5o", "qwen3vl_merger"}
"""Projectors whose pictures come in whole tiles, so that we scale them as the model was trained."""

_ONLY_WITH = {"qwen2vl_merger": "qwen2vl", "qwen2.5vl_merger": "qwen2vl", "qwen2.5o": "qwen2vl"}
"""Projectors that go with one architecture; plain Qwen2 models of the same width cannot see."""

_UNEVEN = {"deepseek4v", "hunyuanvl"}
"""Projectors that make other tokens of a picture depending on where in the prompt it stands."""

_FEWEST, _MOST = 8, 4096
"""Tokens of a picture, where the file of a scaled one does not say (mtmd's own bounds)."""

_BEST_FIRST = ("f16", "bf16", "q8_0", "f32")
_TYPE = re.compile(r"(?i)^(?:b?f(?:16|32)|i?q\d\w*|model|mmproj)$")


@dataclass(frozen=True, slots=True)
class Eye:
    """An mmproj file. ``scaling`` is known of those whose pictures we scale ourselves."""

    path: Path
    size_bytes: int
    scaling: Scaling | None = None

    @property
    def vision(self) -> Vision:
        """What a model with this eye takes."""
        if self.scaling is None:
            return Vision(size_bytes=self.size_bytes)
        return Vision(
            min_tokens=self.scaling.min_tokens,
            max_tokens=self.scaling.max_tokens,
            max_pixels=self.scaling.max_pixels,
            size_bytes=self.size_bytes,
        )


def find(model: Path, architecture: str, width: int) -> Eye | None:
    """The eye of a model whose embeddings have ``width`` numbers; None where it has none."""
    eyes = (_read(path, architecture, width) for path in model.parent.glob(f"*{MARK}*"))
    return min(filter(None, eyes), key=lambda eye: rank(eye.path.name, model.name), default=None)


def find_of(model: Path) -> Eye | None:
    """The same by the model's own file."""
    header = read_header(model)
    facts = header.metadata if header else {}
    architecture = text(facts, "general.architecture")
    return find(model, architecture, number(facts, f"{architecture}.embedding_length"))


def _read(path: Path, architecture: str, width: int) -> Eye | None:
    """The eye in a file, unless it is none, cut off, or of another model."""
    try:
        state = path.stat()
        facts = _facts(path, state.st_mtime_ns, state.st_size)
    except OSError:
        return None
    if facts is None or not _fits(facts, architecture, width):
        return None
    return Eye(path, state.st_size, _scaling(facts))


@lru_cache(maxsize=64)
def _facts(path: Path, _changed: int, _size: int) -> dict[str, Any] | None:
    """The metadata of a whole file; one that takes too much to read costs no model its card."""
    try:
        header = read_header(path)
    except TooExpensive as error:
        if error.final:
            return None
        raise
    return header.metadata if header and header.whole else None


def _fits(facts: dict[str, Any], architecture: str, width: int) -> bool:
    if facts.get("general.architecture") != "clip" or not _sees(facts):
        return False
    kind = _kind(facts)
    projected = number(facts, "clip.vision.projection_dim", "clip.projection_dim")
    fits = kind not in _UNEVEN and _ONLY_WITH.get(kind, architecture) == architecture
    return fits and projected == width > 0


def _sees(facts: dict[str, Any]) -> bool:
    """Files for sound only do not; old files say neither."""
    return bool(facts.get("clip.has_vision_encoder", not facts.get("clip.has_audio_encoder")))


def _kind(facts: dict[str, Any]) -> str:
    return text(facts, "clip.projector_type") or text(facts, "clip.vision.projector_type")


def _scaling(facts: dict[str, Any]) -> Scaling | None:
    patch = number(facts, "clip.vision.patch_size")
    if _kind(facts) not in _SCALED or not patch:
        return None
    merge = number(facts, "clip.vision.spatial_merge_size") or 2
    tile = (patch * merge) ** 2
    least = number(facts, "clip.vision.image_min_pixels") or _FEWEST * tile
    most = number(facts, "clip.vision.image_max_pixels") or _MOST * tile
    return Scaling.of(
        {"patch_size": patch, "merge_size": merge, "min_pixels": least, "max_pixels": most}
    )


def rank(eye: str, model: str) -> tuple[int, int, str]:
    """Which of several files is a model's eye; the lowest first.

    By their names: that with most of the model's in it, then that with the best type of numbers.
    """
    words = re.split(r"[-. ]+", eye.removesuffix(".gguf").lower())
    types = [_BEST_FIRST.index(word) for word in words if word in _BEST_FIRST]
    own = "-".join(word for word in words if not _TYPE.match(word))
    known = "-".join(re.split(r"[-. ]+", model.lower()))
    shared = len(own) if own in known else 0
    return -shared, min(types, default=len(_BEST_FIRST)), eye
