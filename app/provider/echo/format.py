"""The echo model: no file, and hardly any memory."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard
from app.provider.engine import EngineLimits
from app.provider.memory import Need

LIBRARIES: tuple[str, ...] = ()

ECHO = ModelCard(
    "echo", "echo", "echo", Path(), size_bytes=0, context_length=4096, name="Echo", licence="mit"
)


def read(path: Path) -> ModelCard | None:
    """No file is an echo: a setting switches it on."""
    return None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """A Python process."""
    return Need(runtime=24 * 2**20, weights=0, kv=0)
