"""What parsers share that read an answer step by step, each step a mark or the text before it."""

from __future__ import annotations

from abc import abstractmethod

from app.chat.parsers.pieces import Piece


class StepParser:
    """Holds the text that is not decided, and the pieces that are."""

    def __init__(self) -> None:
        self._buffer = ""
        self._pieces: list[Piece] = []

    def push(self, text: str) -> list[Piece]:
        """Add text; return what is decided."""
        self._buffer += text
        self._pieces = []
        while self._buffer and self._step():
            pass
        return self._pieces

    @abstractmethod
    def _step(self) -> bool:
        """One step; False when more text is needed."""
