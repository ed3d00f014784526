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
        self.stopped = False

    def push(self, piece: bytes) -> list[TextPiece]:
        """Add a token's bytes; return what can be sent now. Sets ``stopped`` at a stop string."""
        text = self._decoder.decode(piece)
        pieces = self._thinking.push(text) if self._thinking else [TextPiece(text)]
        return self._released_of(pieces, last=False)

    def flush(self) -> list[TextPiece]:
        """Return the held text at the end of the answer; half a character is dropped.

        Sets ``stopped`` at a stop string.
        """
        pieces = self._thinking.flush() if self._thinking else []
        return self._released_of(pieces, last=True)

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
        """Add what may be sent of the held text. Sets ``stopped``."""
        if self.stopped:
            return
        length = self._stop_at()
        if length is None:
            length = len(self._held) - (0 if last else self._doubtful())
        else:
            self.stopped = True
        text, self._held = self._held[:length], "" if self.stopped else self._held[length:]
        self._released += length
        if text:
            add_piece(released, text, thinking=False)

    def _stop_at(self) -> int | None:
        """Where the first stop string begins; None if there is none."""
        begin = max(0, self.retracted - self._released)  # retracted text is no answer
        ends = [at for stop in self._stop if (at := self._held.find(stop, begin)) >= 0]
        return min(ends, default=None)

    def _doubtful(self) -> int:
        """Length of the longest tail that could grow into a stop string."""
        known = max(0, self.retracted - self._released)
        longest = min(len(self._held) - known, max(map(len, self._stop), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
