"""Remembers models that could not be loaded, so that no process is started for them again."""

from __future__ import annotations

from app.provider.errors import ModelNotLoadable
from app.provider.types import ModelRef


class Refusals:
    """Why engines could not load models; forgotten as soon as a model's files change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}  # id → stamp and reason

    def note(self, model: ModelRef, error: ModelNotLoadable) -> None:
        """Remember why the model cannot be loaded, unless the cause lies outside its files."""
        if error.lasting:
            self._known[model.id] = model.stamp, str(error)

    def forget(self, model: ModelRef) -> None:
        """Allow the model to be tried again."""
        self._known.pop(model.id, None)

    def reason_for(self, model: ModelRef) -> str | None:
        """Why the model cannot be loaded; None if it was not refused or its files have changed."""
        stamp, reason = self._known.get(model.id, ("", None))
        return reason if stamp == model.stamp else None
