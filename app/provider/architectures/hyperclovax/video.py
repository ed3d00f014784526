"""Frames of a video → tiles and how many queries each of them gets ("slow" and "fast").

Nine frames share a canvas of 3 x 3 tiles. How a repository's own processor lays frames out on a
canvas that is not full is not published: here every frame has a tile of its own, padded to a
square, and no tile is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from PIL import Image

from app.provider.architectures.hyperclovax.config import HyperClovaXConfig, Video
from app.provider.architectures.hyperclovax.pixels import Tiles, normalised, whole

PER_CANVAS = 9
"""Frames."""

T = TypeVar("T")


def sampled(frames: Sequence[T], video: Video) -> list[T]:
    """As many frames as all canvases hold, evenly spread from the first to the last one."""
    most = video.canvases * PER_CANVAS
    if len(frames) <= most:
        return list(frames)
    return [frames[index * (len(frames) - 1) // (most - 1)] for index in range(most)]


def queries(frames: int, video: Video) -> list[int]:
    """Queries of each frame: slow is the first of each canvas, or the first and last of all."""
    slow = {0, frames - 1} if video.first_last_slow else set(range(0, frames, PER_CANVAS))
    return [video.slow if index in slow else video.fast for index in range(frames)]


def tiles(frames: Sequence[Image.Image], config: HyperClovaXConfig) -> Tiles:
    """A tile for every frame, in order; frames are RGB."""
    size = config.tiling.size
    return normalised([whole(frame, size, config.pixels) for frame in frames], config.pixels)
