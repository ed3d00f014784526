"""Remembers models that could not be loaded, so that no process is started for them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.errors import ModelNotLoadable


class Refusals:
    """Why engines could not load models; forgotten as soon as a model's files change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[str, str]] = {}  # path → stamp and reason

    def note(self, card: ModelCard, error: ModelNotLoadable) -> None:
        """Remember why the model cannot be loaded, unless the cause lies outside its files."""
        if error.lasting:
            self._known[card.path] = card.stamp, str(error)

    def forget(self, card: ModelCard) -> None:
        """Allow the model to be tried again."""
        self._known.pop(card.path, None)

    def reason_for(self, card: ModelCard) -> str | None:
        """Why the model cannot be loaded; None if it was not refused or its files have changed."""
        stamp, reason = self._known.get(card.path, ("", None))
        return reason if stamp == card.stamp else None

    def with_problem(self, card: ModelCard) -> ModelCard:
        """The card with the reason as its problem, unless it has another problem."""
        reason = None if card.problem else self.reason_for(card)
        return replace(card, problem=reason) if reason else card
