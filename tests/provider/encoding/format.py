"""Recognises the models by their names alone."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard
from app.provider.engine import EngineLimits, Library
from app.provider.memory import Need

LIBRARIES: dict[str, Library] = {}


def read(path: Path) -> ModelCard | None:
    if path.suffix != ".encoder":
        return None
    size = path.stat().st_size
    return ModelCard(path.stem, "encoder", "encoding", path, size, 64, tasks=("embedding",))


def need(card: ModelCard, limits: EngineLimits) -> Need:
    return Need(runtime=24 * 2**20, weights=card.size_bytes, kv=0)
