"""Recognises files that declare models of other servers."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.declared import SUFFIX
from app.provider.engine import EngineLimits, Library
from app.provider.engines.upstream.declaration import cards_of
from app.provider.memory import Need

LIBRARIES = {"httpx2": Library("httpx2", "./run.sh install")}

LONGEST_FILE = 2**20
"""Bytes."""


def read(path: Path) -> ModelCard | None:
    """None: a file declares any number of models, which ``read_all`` describes."""
    return None


def read_all(path: Path) -> list[ModelCard]:
    """The models that a file declares."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        declared = file.read(LONGEST_FILE)
    return cards_of(path.name.removesuffix(SUFFIX), declared, path)


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Nothing: another server has the model in its memory."""
    return Need(runtime=0, weights=0, kv=0)
