"""Chooses the engine for a folder of config.json and safetensors, by what is installed.

Several engines can serve such a folder. Each of them has a module ``hf_folders`` in its package,
which says how well it suits a model; the most suitable engine serves it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from app.provider.card import EngineOption, Task, Vision
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.engine import ENGINES
from app.provider.headers.fields import text

_ENCODERS = "pytorch"
"""The engine that serves encoders in safetensors."""

_MLX_ENCODER = (
    "MLX wrote its weights, and the MLX engine makes no vectors: take the original model."
)
NO_ENGINE = "No engine here runs the architecture {}: a newer version may, else take another model."


_CLASSIFIER = "It sorts texts into classes ({}), which is neither a vector nor a relevance."


def no_engine(architecture: str) -> str:
    """Why a model of that class is of no use here."""
    classifies = architecture.endswith("ForSequenceClassification")
    return (_CLASSIFIER if classifies else NO_ENGINE).format(architecture)


class Suitability(IntEnum):
    """How well an engine suits a model; the higher, the better."""

    NONE = 0
    ON_REQUEST = 1
    """It serves a model only where the settings say so."""
    NOT_INSTALLED = 2
    POSSIBLE = 3
    GOOD = 4
    BEST = 5
    ONLY = 6
    """No other engine can serve it, whatever is installed."""


class FolderEngine(Protocol):
    """The module ``hf_folders`` of an engine's package."""

    PRODUCT: str
    """Name of the engine's library, for users."""
    EXTRA: str
    """The word after ``./run.sh install`` that installs it."""

    def suitability(self, architecture: str, *, by_mlx: bool) -> Suitability:
        """How well the engine suits a ``model_type``; ``by_mlx``: MLX wrote the weights."""

    def refusal(self, architecture: str, config: Mapping[str, Any]) -> str | None:
        """Why the library would not load a folder with this config.json; None if it might."""

    def vision(
        self, folder: Path, config: Mapping[str, Any], licence: str
    ) -> tuple[Vision | None, str | None]:
        """What images the model takes in this engine, and the problem with that."""


class Choice(NamedTuple):
    """An engine's name, and why it cannot be used."""

    engine: str
    problem: str | None


def engine_for(architecture: str, *, by_mlx: bool) -> Choice:
    """The most suitable engine; among equals, the last one of ``ENGINES``."""
    engines = folder_engines()
    suited = [(one.suitability(architecture, by_mlx=by_mlx), name) for name, one in engines.items()]
    best = max(suitability for suitability, _ in suited)
    names = [name for suitability, name in suited if suitability == best]
    missing = best == Suitability.NOT_INSTALLED
    return Choice(
        names[-1], _none_installed([engines[name] for name in names]) if missing else None
    )


def refusal(engine: str, architecture: str, config: Mapping[str, Any]) -> str | None:
    """Why the engine's library would not load a folder with this config.json; None if it might."""
    return folder_engines()[engine].refusal(architecture, config)


def options(
    folder: Path, config: Mapping[str, Any], licence: str, *, by_mlx: bool, tokenizer: str | None
) -> tuple[EngineOption, ...]:
    """The engines that the settings may choose for a folder of a sound chat model.

    ``tokenizer`` says what is wrong with its tokenizer for the engines that run here.
    """
    architecture = text(config, "model_type")
    found = []
    for name, engine in folder_engines().items():
        suited = engine.suitability(architecture, by_mlx=by_mlx)
        if suited == Suitability.NONE:
            continue
        vision, problem = engine.vision(folder, config, licence)
        if suited == Suitability.NOT_INSTALLED:
            problem = problem or _none_installed([engine])
        if suited != Suitability.ON_REQUEST:
            problem = tokenizer or problem
        problem = engine.refusal(architecture, config) or problem
        packed = suited == Suitability.ON_REQUEST and bool(config.get("quantization_config"))
        found.append(EngineOption(name, problem, vision, last_resort=packed))
    return tuple(found)


def tasks_with(tasks: tuple[Task, ...], vision: Vision | None) -> tuple[Task, ...]:
    """The tasks of the model in its engine, which may take text only."""
    others: tuple[Task, ...] = tuple(task for task in tasks if task != "vision")
    return (*others, "vision") if vision and "chat" in others else others


def encoder_engine(*, by_mlx: bool) -> Choice:
    """The engine for an encoder in safetensors; ``by_mlx``: MLX wrote the weights."""
    if by_mlx:
        return Choice("mlx", _MLX_ENCODER)
    pytorch = folder_engines()[_ENCODERS]
    there = pytorch.suitability("", by_mlx=False) != Suitability.NOT_INSTALLED
    return Choice(_ENCODERS, None if there else _none_installed([pytorch]))


def encoder_refusal(settings: EncoderSettings | None, config: Mapping[str, Any]) -> str | None:
    """Why the encoder would not be computed as it is meant; None if it might."""
    module = importlib.import_module(f"{ENGINES[_ENCODERS]}.encoder.supported")
    found: str | None = module.encoder_refusal(settings, config) if settings else None
    return found


def folder_engines() -> dict[str, FolderEngine]:
    """The modules ``hf_folders`` by engine, of all engines that have one."""
    return _modules(tuple(ENGINES.items()))


@lru_cache(maxsize=8)
def _modules(engines: tuple[tuple[str, str], ...]) -> dict[str, FolderEngine]:
    names = {engine: f"{package}.hf_folders" for engine, package in engines}
    return {
        engine: cast("FolderEngine", importlib.import_module(name))
        for engine, name in names.items()
        if importlib.util.find_spec(name)
    }


def _none_installed(engines: Sequence[FolderEngine]) -> str:
    products = " or ".join(engine.PRODUCT for engine in engines)
    commands = " or ".join(f"./run.sh install {engine.EXTRA}" for engine in engines)
    if len(engines) == 1:
        return f"It needs {products}, which is not installed: run {commands}."
    none = "neither" if len(engines) == 2 else "none"
    return f"It needs {products}, and {none} is installed: run {commands}."
