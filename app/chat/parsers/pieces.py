"""What a parser makes of an answer's text, and the two kinds of parsers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Text:
    """Text for the reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Text of a channel that is not for the reader; empty for the marks around channels."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """A tool call begins; its name is whole."""

    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """The next characters of the arguments of the call that began last."""

    text: str


Piece = Text | Thought | CallStart | Arguments


class Parser(Protocol):
    """Turns the text of an answer into pieces. It holds back what may be the start of a mark."""

    def push(self, text: str) -> list[Piece]:
        """Add text; return what is decided."""

    def finish(self, *, cut: bool) -> list[Piece]:
        """Return the rest at the end of the answer; ``cut`` says that more should have come."""


ReadState = Literal["more", "done", "failed"]


class ReadResult(NamedTuple):
    """What a reader made of a text: how much of it, which pieces, and whether it goes on.

    ``failed`` means that the text from there on belongs to no call.
    """

    consumed: int
    pieces: Sequence[Piece]
    state: ReadState


class CallReader(Protocol):
    """Reads one call, from its first character on."""

    def read(self, text: str) -> ReadResult:
        """Read on in text that continues what was consumed; the rest is given again, with more."""

    def finish(self, text: str, *, cut: bool) -> list[Piece]:
        """The rest of a call that has begun, at the end of the answer."""


class TextOnly:
    """The parser of an answer without calls and channels."""

    def push(self, text: str) -> list[Piece]:
        """All of it is text."""
        return [Text(text)] if text else []

    def finish(self, *, cut: bool) -> list[Piece]:
        """Nothing is held."""
        return []
