"""The echo models, which have no file and take hardly any memory. One of them takes images."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard, Vision
from app.provider.engine import EngineLimits, Library
from app.provider.memory import Need

LIBRARIES: dict[str, Library] = {}

SQUARE = 28
"""Side in pixels of the square that becomes one token of an image."""

LONGEST_SIDE = 36 * SQUARE
"""Pixels of the longer side that an image is scaled down to."""

VISION_PATH = Path("echo-vision")
"""There is no such file: the path tells the engine which of the two models it is."""

ECHO = ModelCard(
    "echo", "echo", "echo", Path(), size_bytes=0, context_length=4096, name="Echo", licence="mit"
)
ECHO_VISION = ModelCard(
    "echo-vision",
    "echo",
    "echo",
    VISION_PATH,
    size_bytes=0,
    context_length=4096,
    tasks=("chat", "vision"),
    name="Echo with eyes",
    licence="mit",
    vision=Vision(
        min_tokens=1, max_tokens=(LONGEST_SIDE // SQUARE) ** 2, max_pixels=LONGEST_SIDE**2
    ),
)


def read(path: Path) -> ModelCard | None:
    """No file is an echo model: a setting adds them."""
    return None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """A Python process."""
    return Need(runtime=24 * 2**20, weights=0, kv=0)
