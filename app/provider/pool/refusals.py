"""Which models could not be loaded, so that no process is started for them again and again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.errors import ModelNotLoadable


class Refusals:
    """What engines said of files that they cannot load, for as long as these do not change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[str, str]] = {}  # path → stamp and reason

    def note(self, card: ModelCard, error: ModelNotLoadable) -> None:
        """Remember why the model cannot be loaded, unless the reason lies outside its files."""
        if error.lasting:
            self._known[card.path] = card.stamp, str(error)

    def forget(self, card: ModelCard) -> None:
        """Let the model be tried again."""
        self._known.pop(card.path, None)

    def of(self, card: ModelCard) -> str | None:
        """Why the model was refused; None if it was not, or if its files have changed since."""
        stamp, reason = self._known.get(card.path, ("", None))
        return reason if stamp == card.stamp else None

    def noted(self, card: ModelCard) -> ModelCard:
        """The card with the reason as its problem, unless it has another one."""
        reason = None if card.problem else self.of(card)
        return replace(card, problem=reason) if reason else card
