"""Patches and M-RoPE positions of images for Qwen2-VL and Qwen2.5-VL.

The same arithmetic as transformers' Qwen2VLImageProcessorPil and ``get_rope_index``, for one
picture and one prompt, on numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.provider.architectures.qwen_vl import Scaling
from app.provider.errors import UnsupportedInput
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.types import ImagePart

Pixels = NDArray[np.uint8]
Patches = NDArray[np.float32]
Positions = NDArray[np.int32]


def measure(scaling: Scaling, part: ImagePart) -> ImageSize:
    """Scaled size, tokens and positions of an image in a prompt; raises UnsupportedInput."""
    width, height = scaling.size(part.width, part.height)
    across, down = width // scaling.side, height // scaling.side
    return ImageSize(width, height, across * down, max(across, down))


def scaled(part: ImagePart, width: int, height: int) -> Pixels:
    """Scale an image: [height, width, 3], 0 to 255; raises UnsupportedInput."""
    try:
        with Image.open(BytesIO(part.content), formats=("PNG",)) as picture:
            shown = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnsupportedInput("A picture of the prompt cannot be read.") from error
    return np.asarray(shown)


def patches(pixels: Pixels, scaling: Scaling) -> Patches:
    """Pixels of ``scaled`` → [patches, 3 · frames · patch · patch], normalised.

    The patches of a token stand together: token by token in reading order, in each the same way.
    """
    side, merge, frames = scaling.patch, scaling.merge, scaling.frames
    tall, wide, _ = pixels.shape
    rows, columns = tall // scaling.side, wide // scaling.side
    mean, deviation = np.array([scaling.mean, scaling.std], np.float32)
    colours = (pixels.astype(np.float32) * np.float32(1 / 255) - mean) / deviation
    tiles = colours.reshape(rows, merge, side, columns, merge, side, 3)
    ordered = tiles.transpose(0, 3, 1, 4, 6, 2, 5)  # token, patch, colour, y, x
    shown = np.repeat(ordered[:, :, :, :, :, None], frames, axis=5)
    return shown.reshape(rows * columns * merge**2, -1)


def positions(length: int, images: Sequence[PlacedImage], side: int) -> Positions:
    """Time, row and column [3, length] of the tokens of a prompt.

    Text tokens count up in all three. The tokens of an image have one time; their rows and columns
    count from the image's start, and the text after it continues behind the larger of the two.
    """
    found = np.empty((3, length), np.int32)
    done = position = 0
    for image in images:
        found[:, done : image.start] = position + np.arange(image.start - done)
        position += image.start - done
        down, across = image.size.height // side, image.size.width // side
        found[0, image.start : image.end] = position
        found[1:, image.start : image.end] = position + np.indices((down, across)).reshape(2, -1)
        position += image.size.positions
        done = image.end
    found[:, done:] = position + np.arange(length - done)
    return found
