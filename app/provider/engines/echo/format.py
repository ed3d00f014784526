"""The echo models, which have no file and take hardly any memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.provider.card import EncoderFacts, ModelCard, Vision
from app.provider.engine import EngineLimits, Library
from app.provider.memory import Need

LIBRARIES: dict[str, Library] = {}

SQUARE = 28
"""Side in pixels of the square that becomes one token of an image."""

LONGEST_SIDE = 36 * SQUARE
"""Pixels of the longer side that an image is scaled down to."""

VISION_PATH = Path("echo-vision")
"""There is no such file: the path tells the engine which of the models it is."""

DIMENSIONS = 128
"""Of the vectors of texts and images."""

ENCODER_TOKENS = 512
"""Of one text."""

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

ECHO_EMBED = ModelCard(
    "echo-embed",
    "echo",
    "echo",
    Path("echo-embed"),
    size_bytes=0,
    context_length=ENCODER_TOKENS,
    tasks=("embedding",),
    name="Echo of words as vectors",
    licence="mit",
    encoder=EncoderFacts(
        DIMENSIONS, "mean", prompts=(("query", "query: "), ("document", "passage: "))
    ),
)
ECHO_RERANK = replace(
    ECHO_EMBED,
    id="echo-rerank",
    path=Path("echo-rerank"),
    tasks=("rerank",),
    name="Echo of words as scores",
    encoder=EncoderFacts(1),
)
ECHO_CLIP = replace(
    ECHO_EMBED,
    id="echo-clip",
    path=Path("echo-clip"),
    tasks=("multimodal", "vision"),
    name="Echo of words and colours as vectors",
    encoder=EncoderFacts(DIMENSIONS, "mean", pairing="softmax", scale=20.0),
)
ENCODERS = (ECHO_EMBED, ECHO_RERANK, ECHO_CLIP)
ALL = (ECHO, ECHO_VISION, *ENCODERS)


def read(path: Path) -> ModelCard | None:
    """No file is an echo model: a setting adds them."""
    return None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """A Python process; encoders import numpy and Pillow."""
    return Need(runtime=(24 if card.encoder is None else 43) * 2**20, weights=0, kv=0)
