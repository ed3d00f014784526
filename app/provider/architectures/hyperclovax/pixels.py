"""Pictures → tiles: the numbers that the vision tower is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.provider.architectures.hyperclovax.config import Pixels
from app.provider.architectures.hyperclovax.tiling import Resolution, Tiling, fitted, squared

Tiles = npt.NDArray[np.float32]
"""``[tiles, 3, size, size]``, normalised."""


def tiles(picture: Image.Image, tiling: Tiling, pixels: Pixels) -> Tiles:
    """The global view of a picture in RGB, then the tiles of its local view, row by row."""
    views = [whole(picture, tiling.size, pixels)]
    if (canvas := tiling.canvas(*picture.size)) is not None:
        views += cut(on_canvas(picture, canvas, pixels), tiling.size)
    return normalised(views, pixels)


def whole(picture: Image.Image, size: int, pixels: Pixels) -> Image.Image:
    """The whole picture on one tile, padded or stretched to a square."""
    if not pixels.pad_to_square:
        return picture.resize((size, size), pixels.resample)
    scaled = picture.resize(squared(*picture.size, size), pixels.resample)
    return _centred(scaled, Resolution(size, size), pixels)


def on_canvas(picture: Image.Image, canvas: Resolution, pixels: Pixels) -> Image.Image:
    """The picture as large as the canvas holds it, in its middle."""
    scaled = picture.resize(fitted(*picture.size, canvas), pixels.resample)
    return _centred(scaled, canvas, pixels)


def cut(canvas: Image.Image, size: int) -> Iterator[Image.Image]:
    """The tiles of a canvas, row by row."""
    for top in range(0, canvas.height, size):
        for left in range(0, canvas.width, size):
            yield canvas.crop((left, top, left + size, top + size))


def normalised(views: Sequence[Image.Image], pixels: Pixels) -> Tiles:
    """Views of the same size as numbers."""
    mean, std = (np.array(one, np.float32) for one in (pixels.mean, pixels.std))
    values: Tiles = np.stack([np.asarray(view, np.float32) for view in views])
    values = (values / np.float32(255) - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _centred(picture: Image.Image, canvas: Resolution, pixels: Pixels) -> Image.Image:
    if picture.size == (canvas.width, canvas.height):
        return picture
    background = Image.new("RGB", (canvas.width, canvas.height), pixels.background)
    left, top = (canvas.width - picture.width) // 2, (canvas.height - picture.height) // 2
    background.paste(picture, (left, top))
    return background
