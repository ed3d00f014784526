"""The echo models: no file, and hardly any memory. One of them sees."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard, Vision
from app.provider.engine import EngineLimits, Library
from app.provider.memory import Need

LIBRARIES: dict[str, Library] = {}

SQUARE = 28
"""Pixels of the side of what becomes one token of a picture."""

LONGEST_SIDE = 36 * SQUARE
"""Pixels that a picture is scaled down to."""

SEEING = Path("echo-vision")
"""No such file is looked for: the path tells the engine that it sees."""

ECHO = ModelCard(
    "echo", "echo", "echo", Path(), size_bytes=0, context_length=4096, name="Echo", licence="mit"
)
ECHO_VISION = ModelCard(
    "echo-vision",
    "echo",
    "echo",
    SEEING,
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
    """No file is an echo: a setting switches it on."""
    return None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """A Python process."""
    return Need(runtime=24 * 2**20, weights=0, kv=0)
