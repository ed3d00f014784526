"""Which class runs a model: one of a program's own, or the engines of this project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from app.models.base import BaseEmbeddingModel, BaseLLMModel, Loadable
from app.provider.card import ModelCard

M = TypeVar("M", bound=Loadable)


class ModelLoader:
    """Knows the classes by format, and makes their models.

    A format is the name of an engine (``gguf``, ``onnx``, ``mlx``, ``pytorch``), or a pattern that
    the name of a file must match, of the model or in its folder: ``*.keras``, ``saved_model.pb``.
    """

    def __init__(self) -> None:
        self._classes: dict[str, type[Loadable]] = {}

    @property
    def formats(self) -> Mapping[str, type[Loadable]]:
        """Format → class, as registered."""
        return self._classes

    def register(self, format: str, cls: type[Loadable]) -> None:  # noqa: A002 — the project's name
        """Run models of a format with a class; raises TypeError for a class of another kind."""
        if not issubclass(cls, (BaseLLMModel, BaseEmbeddingModel)):
            raise TypeError(f"{cls.__name__} is no BaseLLMModel and no BaseEmbeddingModel.")
        self._classes[format] = cls

    def class_of(self, path: Path, card: ModelCard | None, kind: type[M]) -> type[M] | None:
        """The registered class of a kind that runs the model; the newest first."""
        for name, cls in reversed(self._classes.items()):
            if issubclass(cls, kind) and ((card and card.engine == name) or _holds(path, name)):
                return cls
        return None

    def make(self, cls: type[M], name: str, path: Path, options: Mapping[str, Any]) -> M:
        """A model that is loaded when it is first used."""
        return cls(name, path, **options)


def _holds(path: Path, pattern: str) -> bool:
    if path.is_dir():
        return next(path.glob(pattern), None) is not None
    return path.is_file() and path.match(pattern)
