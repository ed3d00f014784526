"""Pictures for models that see, as the API hands them to an engine."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from app.provider.types import ImagePart, Message, Prompt, Sampling, TextPart

TurnPart = str | ImagePart


def noise(width: int, height: int, seed: int = 0) -> ImagePart:
    """A picture of random colours in blocks of four pixels."""
    size = (-(-height // 4), -(-width // 4), 3)
    blocks = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    pixels = blocks.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    return part(Image.fromarray(pixels))


def part(picture: Image.Image) -> ImagePart:
    """A picture as a part of a message."""
    file = BytesIO()
    picture.save(file, "PNG")
    return from_bytes(file.getvalue(), picture.width, picture.height)


def from_bytes(content: bytes, width: int, height: int) -> ImagePart:
    """Bytes that call themselves a picture of that size."""
    return ImagePart(content, hashlib.sha256(content).hexdigest(), width, height)


def shown(*turns: TurnPart | tuple[TurnPart, ...], owner: str = "", **sampling: Any) -> Prompt:
    """A prompt of alternating user and assistant turns, at temperature 0 unless told."""
    messages = []
    for index, turn in enumerate(turns):
        pieces = turn if isinstance(turn, tuple) else (turn,)
        parts = tuple(TextPart(one) if isinstance(one, str) else one for one in pieces)
        messages.append(Message("assistant" if index % 2 else "user", parts))
    options = {"temperature": 0.0, "max_tokens": 5} | sampling
    return Prompt(tuple(messages), Sampling(**options), owner)
