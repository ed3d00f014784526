"""New random pictures that no cache holds, and messages with them."""

from __future__ import annotations

import base64
import io
import random
from typing import Any

from PIL import Image

from app.provider.architectures.qwen_vl import Scaling
from bench.inputs.prompts import Messages, words
from training.vision_starter.conversations import held_out_cases

_SPOTS = (20, 15)


def picture(seed: str, size: tuple[int, int]) -> bytes:
    """A PNG of random colours with so many pixels, another one for another seed."""
    colours = random.Random(seed).randbytes(3 * _SPOTS[0] * _SPOTS[1])
    small = Image.frombytes("RGB", _SPOTS, colours)
    return png(small.resize(size, Image.Resampling.NEAREST))


def png(image: Image.Image) -> bytes:
    """The picture as a file."""
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def showing(text: str, *pictures: bytes, system: str = "") -> Messages:
    """A conversation that is one question about pictures, in the words of OpenAI's API."""
    shown: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_base64(one)}"}}
        for one in pictures
    ]
    before: Messages = [{"role": "system", "content": system}] if system else []
    return [*before, {"role": "user", "content": [*shown, {"type": "text", "text": text}]}]


def question(seed: str, shown: bytes, size: int) -> Messages:
    """About a picture, after words that no other conversation begins with."""
    return showing(words(seed, size), shown, system=words(f"before {seed}", size))


def held_out(count: int, *, scaled: bool) -> list[tuple[Messages, str]]:
    """Held-out questions to the vision starter that are whole conversations, with the answers.

    ``scaled``: pictures have the size that the model sees, so that no server has to choose one.
    """
    bounds = Scaling(min_pixels=8 * 28**2, max_pixels=49 * 28**2)
    asked: list[tuple[Messages, str]] = []
    for case in held_out_cases(2 * count, seed=2):
        (turn, *more) = case.turns
        if more or len(asked) == count:
            continue
        drawn = [scene.draw() for scene in turn.scenes]
        resized = [one.resize(bounds.size(*one.size), Image.Resampling.BICUBIC) for one in drawn]
        shown = map(png, resized if scaled else drawn)
        asked.append((showing(turn.asked.question, *shown, system=case.system or ""), case.answer))
    return asked


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
