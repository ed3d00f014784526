"""Gemma's channel of thinking, in front of the parser of the rest of the answer."""

from __future__ import annotations

from app.chat.parsers.pieces import Parser, Piece, Thought
from app.provider.formats.markers import split_at_mark

OPEN, CLOSE = "<|channel>", "<channel|>"
_NAME = "thought"


class ThoughtChannel:
    """``<|channel>thought``, a line end, the thinking, ``<channel|>``; the rest is for ``answer``.

    What stands between the marks is thinking, whatever the channel's name. The marks are in
    neither of the two.
    """

    def __init__(self, answer: Parser) -> None:
        self._answer = answer
        self._buffer = ""
        self._inside = False
        self._named = False

    def push(self, text: str) -> list[Piece]:
        """Add text; return what is decided."""
        self._buffer += text
        pieces: list[Piece] = []
        while self._step(pieces):
            pass
        return pieces

    def finish(self, *, cut: bool) -> list[Piece]:
        """Return the rest at the end of the answer."""
        text, self._buffer = self._buffer, ""
        if not self._inside:
            return [*self._answer.push(text), *self._answer.finish(cut=cut)]
        if not self._named and _NAME.startswith(text.strip()):
            text = ""
        thought: list[Piece] = [Thought(text)] if text else []
        return [*thought, *self._answer.finish(cut=cut)]

    def _step(self, pieces: list[Piece]) -> bool:
        """One mark, or the text before it; False when more text is needed."""
        if self._inside and not self._named and not self._read_name():
            return False
        marks = [CLOSE] if self._inside else [OPEN, CLOSE]
        text, mark, self._buffer = split_at_mark(self._buffer, marks)
        if self._inside and text:
            pieces.append(Thought(text))
        elif text:
            pieces += self._answer.push(text)
        if mark:
            pieces.append(Thought(""))
            self._inside, self._named = mark == OPEN, False
            self._buffer = self._buffer[len(mark) :]
        return bool(mark)

    def _read_name(self) -> bool:
        """Drop the name of the channel, with its line end; False when more text is needed."""
        if _NAME.startswith(self._buffer) or f"{_NAME}\n".startswith(self._buffer):
            return False
        self._named = True
        self._buffer = self._buffer.removeprefix(_NAME).removeprefix("\n")
        return True
