"""Turns the bytes of tokens into whole characters, and keeps stop strings out of the answer."""

from __future__ import annotations

import codecs

from app.provider.generation.thinking import ThinkingFilter, ThinkingStart


class Detokenizer:
    """Joins the bytes of tokens to text that may be sent.

    A character whose bytes are split over tokens is held until it is whole; text that may begin a
    stop string is held until it does not. Bytes that belong to no character are dropped, so U+FFFD
    appears only where the model wrote it. Thinking is left out, and not searched for stop strings.
    """

    def __init__(self, stop: tuple[str, ...] = (), thinking: ThinkingStart | None = None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._thinking = ThinkingFilter(thinking) if thinking else None
        self._stop = stop
        self._held = ""
        self._released = 0
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """Add a token's bytes; return what can be sent now. Sets ``stopped`` at a stop string."""
        text = self._decoder.decode(piece)
        self._held += self._thinking.push(text) if self._thinking else text
        return self._stopped_text() or self._release(len(self._held) - self._doubtful())

    def _stopped_text(self) -> str:
        """The text before a stop string, if there is one. Sets ``stopped``."""
        begin = max(0, self.retracted - self._released)  # retracted text is no answer
        ends = [at for stop in self._stop if (at := self._held.find(stop, begin)) >= 0]
        if not ends:
            return ""
        self.stopped = True
        text, self._held = self._held[: min(ends)], ""
        return text

    @property
    def thinks(self) -> bool:
        """Whether the model is thinking."""
        return self._thinking is not None and self._thinking.inside

    @property
    def retracted(self) -> int:
        """Characters at the beginning of the text that turned out to be thinking."""
        return self._thinking.retracted if self._thinking else 0

    def flush(self) -> str:
        """Return the held text at the end of the answer; half a character is dropped.

        Sets ``stopped`` at a stop string.
        """
        if self._thinking:
            self._held += self._thinking.flush()
        return self._stopped_text() or self._release(len(self._held))

    def _release(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        self._released += length
        return text

    def _doubtful(self) -> int:
        """Length of the longest tail that could grow into a stop string."""
        known = max(0, self.retracted - self._released)
        longest = min(len(self._held) - known, max(map(len, self._stop), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
