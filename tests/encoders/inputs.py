"""What references exist for: texts of very different lengths, pairs of texts, and images."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

TEXTS = (
    "Hello",
    "The capital of Australia is Canberra, not Sydney.",
    "서울의 인구는 얼마나 되나요?",
    "a",
    "MIXED Case, Punctuation! and  two spaces — “quotes” … 100 % 🙂",
    "A model answers over HTTP. " * 2 + "Its weights lie in one folder, and its tokenizer too.",
    "¿Dónde está el baño? naïve café",
    "no yes",
)
"""None is longer than what the folder of a family takes, with its prompts."""

LONG = "A long text about servers, models and weights, which has to be cut somewhere. " * 12
"""Longer than every limit that a folder names."""

PAIRS = (
    ("What is the capital?", "The capital of Australia is Canberra."),
    ("What is the capital?", "Yes"),
    ("서울의 인구는?", "서울에는 약 940만 명이 살고 있다."),
    ("Who wrote Hamlet, and when was it written?", "William Shakespeare, about 1600."),
    ("How do I run it?", "./run.sh"),
)

LONG_PAIRS = ((PAIRS[0][0], LONG), (LONG, PAIRS[0][1]))
"""The last pairs of cross-encoders' references."""

IMAGE_SIZES = ((64, 64), (97, 61), (40, 120), (33, 32), (20, 11), (256, 200))
"""Width and height."""


def images() -> list[bytes]:
    """PNG files: colour gradients with rectangles, so that every part of each is different."""
    return [_png(width, height, seed) for seed, (width, height) in enumerate(IMAGE_SIZES)]


def _png(width: int, height: int, seed: int) -> bytes:
    random = np.random.RandomState(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    slopes = random.uniform(-2, 2, (3, 2))
    offsets = random.uniform(0, 255, 3)
    waves = [
        offset + a * rows + b * columns for offset, (a, b) in zip(offsets, slopes, strict=True)
    ]
    pixels = np.stack(waves, -1) % 256
    for _ in range(4):
        top, left = random.randint(0, height), random.randint(0, width)
        pixels[top : top + height // 3, left : left + width // 3] = random.randint(0, 256, 3)
    file = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()
