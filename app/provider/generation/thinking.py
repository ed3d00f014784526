"""Separates a model's thinking from its answer while the text is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.provider.formats.markers import partial_mark, split_at_mark
from app.provider.formats.thinking import MARKERS

_CLOSING = {markers.open: markers.close for markers in MARKERS}
_BEGINNINGS = frozenset(text[0] for markers in MARKERS for text in markers)
"""The first letters of all markers."""


@dataclass(frozen=True, slots=True)
class ThinkingStart:
    """How an answer begins.

    ``closing`` is the marker that ends the thinking opened by the prompt; empty where it opens
    none. ``control`` are the markers that are control tokens of the model: they count anywhere,
    others only where the answer begins. ``lone``: a closing marker without an opening one counts,
    because no message mentions markers. ``call`` is a control token that begins tool calls: it ends
    thinking as well.
    """

    closing: str = ""
    control: frozenset[str] = frozenset()
    lone: bool = True
    call: str = ""


NO_THINKING = ThinkingStart()
"""The prompt opens none; the answer may."""


class TextPiece(NamedTuple):
    """A piece of what a model writes: of its answer, or of its thinking."""

    text: str
    thinking: bool = False


def add_piece(pieces: list[TextPiece], text: str, *, thinking: bool) -> None:
    """Append some text, joined with the last piece if that is of the same kind."""
    if pieces and pieces[-1].thinking is thinking:
        text = pieces.pop().text + text
    if text:
        pieces.append(TextPiece(text, thinking))


class ThinkingFilter:
    """Tells the thinking from the answer. The thinking is dropped unless it is ``shown``.

    ``retracted`` characters of the released answer turned out to be thinking, because a closing
    marker came without an opening one. Markers are in neither.
    """

    def __init__(self, start: ThinkingStart, *, shown: bool = False) -> None:
        self._shown = shown
        self._closing = start.closing
        self._call = [start.call] if start.call else []
        self._state: Literal["start", "thinking", "answer"] = "start"
        if start.closing:
            self._state = "thinking"
        self._opening = [text for text in _CLOSING if text in start.control]
        self._lone = list(_CLOSING.values()) if start.lone and not start.closing else []
        self._control_closing = [text for text in _CLOSING.values() if text in start.control]
        self._trims = False
        self._pieces: list[TextPiece] = []
        self._text = ""
        self._released = 0
        self.retracted = 0

    @property
    def inside(self) -> bool:
        """Whether the thinking has not ended."""
        return self._state == "thinking"

    @property
    def undecided(self) -> bool:
        """Whether text is held that may belong to the thinking or to the answer."""
        return self._state == "start" or bool(self._text)

    def push(self, text: str) -> list[TextPiece]:
        """Take text of the model; return what of it is decided. No two neighbours are of a kind."""
        self._text += text
        while (found := self._advance()) is not None:
            self._released += len(found)
            self._add(found)
        return self._take()

    def flush(self) -> list[TextPiece]:
        """Return the held text, at the end."""
        text, self._text = self._text, ""
        if self._state == "start" and self._trims:
            text = text.lstrip()
        self._add(text, thinking=self.inside)
        return self._take()

    def _add(self, text: str, *, thinking: bool = False) -> None:
        """Release a piece of text; thinking only if it is shown."""
        if text and (self._shown or not thinking):
            add_piece(self._pieces, text, thinking=thinking)

    def _take(self) -> list[TextPiece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _advance(self) -> str | None:
        """One step; None when more text is needed."""
        if not self._text:
            return None
        match self._state:
            case "start":
                return self._begin()
            case "thinking":
                return self._think()
            case "answer":
                return self._answer()

    def _begin(self) -> str | None:
        """Decide between thinking and the answer by the first text after white space."""
        text = self._text.lstrip()
        for opening, closing in _CLOSING.items():
            if text.startswith(opening):
                self._think_until(closing, text[len(opening) :])
                return ""
        if any(opening.startswith(text) for opening in _CLOSING):
            return None
        self._text = text if self._trims else self._text
        self._state = "answer"
        return ""

    def _think_until(self, closing: str, rest: str) -> None:
        self._state, self._closing, self._text = "thinking", closing, rest
        self._lone = []

    def _think(self) -> str | None:
        marks = [self._closing, *self._call]
        thought, mark, self._text = split_at_mark(self._text, marks)
        self._add(thought, thinking=True)
        if not mark:
            return None
        self._state, self._trims = "start", self._released == 0
        self._text = self._text[len(mark) if mark == self._closing else 0 :]
        return ""

    def _answer(self) -> str | None:
        if _BEGINNINGS.isdisjoint(self._text):  # true of most tokens
            released, self._text = self._text, ""
            return released
        spoken = [opening for opening, closing in _CLOSING.items() if closing in self._lone]
        marks = [*self._opening, *spoken, *self._lone, *self._control_closing]
        places = [(at, mark) for mark in marks if (at := self._text.find(mark)) >= 0]
        if places:
            return self._at_mark(*min(places))
        length = len(self._text) - partial_mark(self._text, marks)
        released, self._text = self._text[:length], self._text[length:]
        return released or None

    def _at_mark(self, at: int, mark: str) -> str:
        """Handle a marker: thinking begins, or has ended although nothing had opened it."""
        before, rest = self._text[:at], self._text[at + len(mark) :]
        if mark in self._opening:
            self._think_until(_CLOSING[mark], rest)
            return before
        if mark in _CLOSING:  # the answer mentions markers, and the closing one will follow
            self._lone.remove(_CLOSING[mark])
            self._text = rest
            return before + mark
        if mark not in self._lone:
            self._text = rest
            return before
        self.retracted = self._released
        self._add(before, thinking=True)
        self._state, self._trims, self._text, self._lone = "start", True, rest, []
        return ""
