"""Scales images as encoders take them, on Pillow and numpy alone.

The same arithmetic as transformers' image processors for Pillow (CLIP, BiT for DINOv2, SigLIP,
SigLIP2) and, for DINOv3, as its processor for torchvision.
"""

from __future__ import annotations

import math
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.provider.encoding.folders.image_settings import ImageSettings, Size
from app.provider.errors import UnsupportedInput
from app.provider.types import ImagePart

Pixels = NDArray[np.float32]
"""[3, height, width]"""

_LARGEST = 2**22
"""Pixels of a scaled image: a long and narrow one would take any amount of memory."""


def encoder_pixels(part: ImagePart, settings: ImageSettings) -> Pixels:
    """Scale, crop and normalise an image; raises UnsupportedInput where it cannot be read."""
    picture = _opened(part)
    if settings.floats:
        return _normalised(_scaled_floats(picture, settings), settings)
    return _coloured(_cropped(_scaled(picture, settings), settings.crop), settings)


def patch_rows(pixels: Pixels, patch: int) -> NDArray[np.float32]:
    """Patches [patches, patch · patch · 3] in reading order, as NaFlex models take them."""
    _, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    tiles = pixels.reshape(3, rows, patch, columns, patch).transpose(1, 3, 2, 4, 0)
    return tiles.reshape(rows * columns, -1)


def _opened(part: ImagePart) -> Image.Image:
    try:
        with Image.open(BytesIO(part.content), formats=("PNG",)) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnsupportedInput("A picture cannot be read.") from error


def _scaled(picture: Image.Image, settings: ImageSettings) -> Image.Image:
    """The image at the size of the settings, or that part of it which is cropped anyway."""
    height, width = target_size(picture.height, picture.width, settings)
    if height * width <= _LARGEST:
        return picture.resize((width, height), settings.resample)
    if settings.crop is None:
        raise UnsupportedInput("A picture is too long and narrow for this model.")
    tall, wide = min(height, settings.crop[0]), min(width, settings.crop[1])
    top, left = (height - tall) // 2, (width - wide) // 2
    down, across = picture.height / height, picture.width / width
    box = (left * across, top * down, (left + wide) * across, (top + tall) * down)
    return picture.resize((wide, tall), settings.resample, box=box)


def target_size(height: int, width: int, settings: ImageSettings) -> Size:
    """Height and width that an image is scaled to, before it is cropped."""
    if settings.patches:
        return _patched_size(height, width, settings.patch, settings.patches)
    if not settings.shortest:
        return settings.size
    longer = int(settings.shortest * max(height, width) / min(height, width))
    return (longer, settings.shortest) if width <= height else (settings.shortest, longer)


def _patched_size(height: int, width: int, patch: int, most: int) -> Size:
    """Whole patches at nearly the same proportions; the search is that of transformers."""
    least, largest = 1e-6, 100.0
    while largest - least >= 1e-5:
        scale = (least + largest) / 2
        if _patches(height, scale, patch) * _patches(width, scale, patch) <= most:
            least = scale
        else:
            largest = scale
    return (patch * _patches(height, least, patch), patch * _patches(width, least, patch))


def _patches(side: int, scale: float, patch: int) -> int:
    return max(1, math.ceil(side * scale / patch))


def _cropped(picture: Image.Image, crop: Size | None) -> NDArray[np.uint8]:
    """The middle [height, width, 3]; what lies beyond the image is black."""
    if crop is None:
        return np.asarray(picture)
    height, width = crop
    top, left = _start(picture.height, height), _start(picture.width, width)
    # Pillow fills what lies outside with zeros.
    return np.asarray(picture.crop((left, top, left + width, top + height)))


def _start(length: int, cropped: int) -> int:
    """First pixel of the middle; of two middles that of transformers, which pads before it cuts."""
    if length >= cropped:
        return (length - cropped) // 2
    return -math.ceil((cropped - length) / 2)


def _coloured(pixels: NDArray[np.uint8], settings: ImageSettings) -> Pixels:
    table = _colour_table(settings)
    planes = [table[colour].take(pixels[..., colour]) for colour in range(3)]
    return np.stack(planes)


@lru_cache(maxsize=4)
def _colour_table(settings: ImageSettings) -> Pixels:
    """Normalised numbers of the 256 shades of each colour [3, 256]."""
    shades = (np.arange(256, dtype=np.float64) * settings.factor).astype(np.float32)
    return _normalised(np.stack([shades] * 3)[:, :, None], settings)[:, :, 0]


def _scaled_floats(picture: Image.Image, settings: ImageSettings) -> Pixels:
    """The image as floating-point numbers [3, height, width], scaled without rounding."""
    height, width = target_size(picture.height, picture.width, settings)
    if height * width > _LARGEST:
        raise UnsupportedInput("A picture is too long and narrow for this model.")
    factor = np.float32(settings.factor)
    planes = [
        Image.fromarray(np.asarray(plane).astype(np.float32) * factor) for plane in picture.split()
    ]
    return np.stack([np.asarray(p.resize((width, height), settings.resample)) for p in planes])


def _normalised(pixels: Pixels, settings: ImageSettings) -> Pixels:
    mean, std = np.array([settings.mean, settings.std], np.float32)[:, :, None, None]
    scaled: Pixels = (pixels - mean) / std
    return scaled
