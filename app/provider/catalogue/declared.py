"""Models that other servers run, as files in the models folder and the settings declare them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.card import ModelCard

SUFFIX = ".upstream.json"
"""Of the name of a file that declares a server."""

_PACKAGE = "app.provider.engines.upstream"


def declared_models(path: Path, models_dir: Path) -> list[ModelCard]:
    """The models that a file declares; none for another file.

    It has to lie directly in the models folder: what lies deeper may come from a stranger, who
    could have prompts and a key sent to an address of his.
    """
    if not path.name.endswith(SUFFIX) or path.parent != models_dir:
        return []
    found: list[ModelCard] = importlib.import_module(f"{_PACKAGE}.format").read_all(path)
    return found


def models_of_settings(declarations: Mapping[str, Any]) -> list[ModelCard]:
    """The models of the setting UPSTREAMS: server names and their declarations."""
    if not declarations:
        return []
    cards_of = importlib.import_module(f"{_PACKAGE}.declaration").cards_of
    return [card for name, declared in declarations.items() for card in cards_of(name, declared)]
