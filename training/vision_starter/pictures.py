"""Turns pictures into patches, as Qwen2.5-VL's image processor makes them."""

import math
from random import Random

import numpy as np
from PIL import Image

PATCH, MERGE = 14, 2  # pixels; patches across one token
CELL = PATCH * MERGE  # pixels across one token
MIN_PIXELS, MAX_PIXELS = 8 * CELL**2, 49 * CELL**2
MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, which loaders expect of this architecture
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

Grid = tuple[int, int]  # rows and columns of tokens
Frame = tuple[float, float, float, float]  # left, top, width, height of the picture in pixels


def grid_of(width: int, height: int) -> Grid:
    """Return how many rows and columns of tokens a picture of this size takes (`smart_resize`)."""
    rows, columns = round(height / CELL), round(width / CELL)
    if rows * columns * CELL**2 > MAX_PIXELS:
        shrink = math.sqrt(width * height / MAX_PIXELS)
        return (
            max(1, math.floor(height / shrink / CELL)),
            max(1, math.floor(width / shrink / CELL)),
        )
    if rows * columns * CELL**2 < MIN_PIXELS:
        grow = math.sqrt(MIN_PIXELS / (width * height))
        return math.ceil(height * grow / CELL), math.ceil(width * grow / CELL)
    return rows, columns


def stretched(picture: Image.Image) -> tuple[Image.Image, Frame]:
    """Resize a picture to whole tokens, as Hugging Face's processor does."""
    rows, columns = grid_of(*picture.size)
    size = (columns * CELL, rows * CELL)
    return picture.resize(size, Image.Resampling.BICUBIC), (
        0.0,
        0.0,
        float(size[0]),
        float(size[1]),
    )


def padded(picture: Image.Image, random: Random) -> tuple[Image.Image, Frame]:
    """Resize a picture to whole tokens with black bars, as llama.cpp does by itself."""
    rows, columns = grid_of(*picture.size)
    across, down = columns * CELL, rows * CELL
    scale = min(across / picture.width, down / picture.height)
    size = (min(across, round(picture.width * scale)), min(down, round(picture.height * scale)))
    corner = random.choice([(0, 0), ((across - size[0]) // 2, (down - size[1]) // 2)])
    canvas = Image.new("RGB", (across, down))
    canvas.paste(picture.resize(size, Image.Resampling.BICUBIC), corner)
    return canvas, (float(corner[0]), float(corner[1]), float(size[0]), float(size[1]))


def patches(picture: Image.Image) -> np.ndarray:
    """Return float32 (patches, 588): channel, row, column of each; the four of a token together."""
    values = (np.asarray(picture, dtype=np.float32) / 255 - MEAN) / np.array(DEVIATION)
    rows, columns = picture.height // CELL, picture.width // CELL
    cells = values.reshape(rows, MERGE, PATCH, columns, MERGE, PATCH, 3)
    ordered: np.ndarray = cells.transpose(0, 3, 1, 4, 6, 2, 5)
    return ordered.reshape(-1, 3 * PATCH * PATCH).astype(np.float32)
