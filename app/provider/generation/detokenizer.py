"""Turns the bytes of tokens into whole characters, and keeps stop strings out of the answer."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from app.provider.generation.thinking import TextPiece, ThinkingFilter, add_piece


class Detokenizer:
    """Joins the bytes of tokens to text that may be sent.

    A character whose bytes are split over tokens is held until it is whole; text that may begin a
    stop string is held until it does not. Bytes that belong to no character are dropped, so U+FFFD
    appears only where the model wrote it. ``thinking`` tells the thinking from the answer; what it
    shows of the thinking is not held, and not searched for stop strings.
    """

    def __init__(self, stop: tuple[str, ...] = (), thinking: ThinkingFilter | None = None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._thinking = thinking
        self._stop = stop
        self._held = ""
        self._released = 0
        self.stop_string: str | None = None

    def push(self, piece: bytes) -> list[TextPiece]:
        """Add a token's bytes; return what can be sent now. Sets ``stop_string`` at one."""
        text = self._decoder.decode(piece)
        pieces = self._thinking.push(text) if self._thinking else [TextPiece(text)]
        return self._released_of(pieces, last=False)

    def flush(self) -> list[TextPiece]:
        """Return the held text at the end of the answer; half a character is dropped.

        Sets ``stop_string`` at one.
        """
        pieces = self._thinking.flush() if self._thinking else []
        return self._released_of(pieces, last=True)

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the answer: ``stop_string``."""
        return self.stop_string is not None

    @property
    def thinks(self) -> bool:
        """Whether the model is thinking."""
        return self._thinking is not None and self._thinking.inside

    @property
    def undecided(self) -> bool:
        """Whether text is held that may belong to the thinking or to the answer."""
        return self._thinking is not None and self._thinking.undecided

    @property
    def retracted(self) -> int:
        """Characters at the beginning of the answer that turned out to be thinking."""
        return self._thinking.retracted if self._thinking else 0

    def _released_of(self, pieces: Iterable[TextPiece], *, last: bool) -> list[TextPiece]:
        """What may be sent of the held text and of these pieces."""
        released: list[TextPiece] = []
        for piece in pieces:
            if piece.thinking:
                self._release(released, last=False)
                released.append(piece)
            else:
                self._held += piece.text
        self._release(released, last=last)
        return released

    def _release(self, released: list[TextPiece], *, last: bool) -> None:
        """Add what may be sent of the held text. Sets ``stop_string``."""
        if self.stopped:
            return
        if found := self._find_stop():
            length, self.stop_string = found
        else:
            length = len(self._held) - (0 if last else self._doubtful())
        text, self._held = self._held[:length], "" if self.stopped else self._held[length:]
        self._released += length
        if text:
            add_piece(released, text, thinking=False)

    def _find_stop(self) -> tuple[int, str] | None:
        """Where the first stop string begins, and which it is; None if there is none.

        Of two that begin there the shorter one was complete first.
        """
        begin = max(0, self.retracted - self._released)  # retracted text is no answer
        found = ((self._held.find(stop, begin), stop) for stop in self._stop)
        return min((one for one in found if one[0] >= 0), default=None)

    def _doubtful(self) -> int:
        """Length of the longest tail that could grow into a stop string."""
        known = max(0, self.retracted - self._released)
        longest = min(len(self._held) - known, max(map(len, self._stop), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
