"""Image sizes and token counts of Qwen2-VL and Qwen2.5-VL.

Pure arithmetic, so that the catalogue can use it; what needs arrays is in ``qwen_vl_pixels``. An
image is scaled to whole tiles of ``side`` pixels, and each tile is a token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.provider.errors import UnsupportedInput
from app.provider.headers.fields import number, section

SETTINGS = "preprocessor_config.json"
"""The file of a model's folder that ``Scaling.of`` reads."""

IMAGE_TEXT = "<|image_pad|>"
"""What the chat templates write for an image."""

LONGEST = 200
"""An image may be that many times as long as wide, as in the models' own code."""

Rgb = tuple[float, float, float]
"""Numbers of red, green and blue."""

_CLIP_MEAN: Rgb = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD: Rgb = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Scaling:
    """What preprocessor_config.json says; the defaults are those of transformers.

    ``patch`` is the side of a patch in pixels, ``merge`` by ``merge`` patches are a token, and
    ``frames`` frames are encoded together (an image is repeated that often). Colours from 0 to 1
    are normalised by ``mean`` and ``std``.
    """

    patch: int = 14
    merge: int = 2
    frames: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280
    mean: Rgb = _CLIP_MEAN
    std: Rgb = _CLIP_STD

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Scaling:
        """Read the settings of a model; values that make no sense are ignored."""
        size = section(settings, "size")
        least = number(settings, "min_pixels") or number(size, "shortest_edge", "min_pixels")
        most = number(settings, "max_pixels") or number(size, "longest_edge", "max_pixels")
        usual = cls()
        scaling = cls(
            patch=number(settings, "patch_size") or usual.patch,
            merge=number(settings, "merge_size") or usual.merge,
            frames=number(settings, "temporal_patch_size") or usual.frames,
            min_pixels=least or usual.min_pixels,
            mean=_rgb(settings.get("image_mean"), _CLIP_MEAN),
            std=_rgb(settings.get("image_std"), _CLIP_STD),
        )
        return scaling._bounded(most or usual.max_pixels)

    def limited(self, tokens: int) -> Scaling:
        """Limit an image to at most ``tokens``; 0 changes nothing."""
        return self._bounded(min(self.max_pixels, tokens * self.side**2)) if tokens else self

    @property
    def side(self) -> int:
        """Pixels of the side of a token's tile."""
        return self.patch * self.merge

    @property
    def min_tokens(self) -> int:
        """The fewest tokens of a picture."""
        return max(1, math.ceil(self.min_pixels / self.side**2))

    @property
    def max_tokens(self) -> int:
        """The most tokens of a picture."""
        return self.max_pixels // self.side**2

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels that an image is scaled to; raises UnsupportedInput.

        The area is within the bounds, and the sides are multiples of ``side``.
        """
        if max(width, height) > LONGEST * min(width, height):
            raise UnsupportedInput(
                f"A picture may be at most {LONGEST} times as long as wide: "
                f"this one has {width} by {height} pixels."
            )
        tall, wide = (round(length / self.side) for length in (height, width))
        most, least = self.max_pixels / self.side**2, self.min_pixels / self.side**2
        if tall * wide > most:
            shrink = math.sqrt(height * width / self.max_pixels)
            tall, wide = (max(1, int(one / shrink / self.side)) for one in (height, width))
        elif tall * wide < least:
            grow = math.sqrt(self.min_pixels / (height * width))
            tall, wide = (math.ceil(one * grow / self.side) for one in (height, width))
        while tall * wide > most:  # a long strip, or bounds that are close together
            tall, wide = (tall - 1, wide) if tall > wide else (tall, wide - 1)
        return wide * self.side, tall * self.side

    def _bounded(self, max_pixels: int) -> Scaling:
        most = max(self.side**2, max_pixels)
        return replace(self, max_pixels=most, min_pixels=min(self.min_pixels, most))


def _rgb(value: object, default: Rgb) -> Rgb:
    """Three positive numbers, or else ``default``."""
    if not isinstance(value, list) or len(value) != 3:
        return default
    if not all(isinstance(one, float | int) and 0 < one < 256 for one in value):
        return default
    red, green, blue = value
    return float(red), float(green), float(blue)
