"""Remembers models that could not be loaded, so that no process is started for them again."""

from __future__ import annotations

from collections.abc import Mapping

from app.provider.errors import ModelNotLoadable
from app.provider.types import ModelRef


class Refusals:
    """Why engines could not load models; forgotten as soon as a model's files change."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, str]] = {}
        """Stamp and reason by id."""

    def note(self, model: ModelRef, error: ModelNotLoadable) -> None:
        """Remember why the model cannot be loaded, unless the cause lies outside its files."""
        if error.lasting:
            self.known[model.id] = model.stamp, str(error)

    def forget(self, model: ModelRef) -> None:
        """Allow the model to be tried again."""
        self.known.pop(model.id, None)

    def reason_for(self, model: ModelRef) -> str | None:
        """Why the model cannot be loaded; None if it was not refused or its files have changed."""
        return refusal_of(model, self.known)


def refusal_of(model: ModelRef, known: Mapping[str, tuple[str, str]]) -> str | None:
    """The reason among ``known`` ones that is of these files of the model."""
    stamp, reason = known.get(model.id, ("", None))
    return reason if stamp == model.stamp else None
