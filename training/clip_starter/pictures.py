"""Turns pictures into the numbers that the network takes, as CLIP's image processor does."""

import numpy as np
from PIL import Image

SIDE, PATCH = 168, 14  # pixels: of the square that a picture is scaled to, and of a patch
MEAN = DEVIATION = (0.5, 0.5, 0.5)  # as the vision starter has learned to see


def pixels(picture: Image.Image) -> np.ndarray:
    """Return float32 [3, side, side]: the whole picture as a square, nothing cut off."""
    square = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)
    values = (np.asarray(square, np.float32) / 255 - mean) / deviation
    return np.ascontiguousarray(values.transpose(2, 0, 1))
